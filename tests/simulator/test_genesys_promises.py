"""The simulated platform is strict enough to tell a careful client from a careless one."""

from uuid import UUID

from tests.simulator.genesys_shell import QUEUE, Answered, GenesysShell, genesys_shell

IDS = [str(UUID(int=number << 64 | 0x8000 << 48, version=4)) for number in range(300)]
LOSSY = {"muted": 0.2, "cut": 0.2, "cut_before": 0.2, "server_error_after": 0.2}


def send(shell: GenesysShell, conversation_id: str, participant_id: str) -> Answered:
    """Send a command, and give up on its answer before the platform has even acted upon it."""
    answered = shell.replace(
        conversation_id=conversation_id, participant_id=participant_id, queueId=QUEUE, wait=False
    )
    shell.run(0.8)
    return answered


def holder(shell: GenesysShell, conversation_id: str) -> str:
    (found,) = shell.model.organisation.conversations.get(conversation_id).holders()
    return found.id


def is_moving(shell: GenesysShell, conversation_id: str) -> bool:
    return len(shell.model.organisation.conversations.get(conversation_id).commands) > 0


def test_whoever_sends_again_at_once_moves_people_twice():
    shell = genesys_shell(faults=LOSSY, latency_s=1.0)
    for conversation_id in IDS:
        participant_id = holder(shell, conversation_id)
        for _ in range(2):
            send(shell, conversation_id, participant_id)
    shell.run()

    assert max(shell.moves.values()) > 1


def test_whoever_looks_first_and_then_sends_again_moves_people_twice():
    """A command on its way lands after the look."""
    shell = genesys_shell(faults=LOSSY, latency_s=1.0)
    for conversation_id in IDS:
        while not is_moving(shell, conversation_id):
            send(shell, conversation_id, holder(shell, conversation_id))
    shell.run()

    assert max(shell.moves.values()) > 1


def test_whoever_waits_the_platform_s_time_out_and_then_looks_moves_everybody_once():
    shell = genesys_shell(faults=LOSSY, latency_s=1.0)
    for conversation_id in IDS:
        while not is_moving(shell, conversation_id):
            send(shell, conversation_id, holder(shell, conversation_id))
            shell.run(62.0)
            shell.renew()  # tokens live for an hour

    assert shell.moves == dict.fromkeys(IDS, 1)

"""For the tests of drivers from other distributions: fakes of the ports, and the contract suite.

`contract.DriverContract` is a class of pytest tests that a driver's own tests derive from.
"""

"""Fakes of the ports and the contract suite, for the tests of drivers from other distributions.

`contract.DriverContract` is a class of pytest tests; a driver's own tests derive from it.
"""

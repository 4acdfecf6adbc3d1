"""The experiments that `nntrace check` carries out on a PyTorch program in child processes.

The package imports none of its modules: a traced run needs only a few of them.
"""

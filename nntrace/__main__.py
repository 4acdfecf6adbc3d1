"""`python -m nntrace` is `nntrace`."""

from nntrace.cli import main

if __name__ == "__main__":
    main()

"""`python -m rtcc_operator`: the controller, until SIGTERM."""

from rtcc_operator.service import main

if __name__ == "__main__":
    main()

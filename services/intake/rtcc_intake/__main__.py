"""`python -m rtcc_intake`: intake alone in a process."""

from rtcc_chassis.runner import main
from rtcc_intake.service import serve

if __name__ == "__main__":
    main({"intake": serve})

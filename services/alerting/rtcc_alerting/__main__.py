"""`python -m rtcc_alerting`: alerting alone in a process."""

from rtcc_alerting.service import serve
from rtcc_chassis.runner import main

if __name__ == "__main__":
    main({"alerting": serve})

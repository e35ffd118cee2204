"""`python -m rtcc_location`: location alone in a process."""

from rtcc_chassis.runner import main
from rtcc_location.service import serve

if __name__ == "__main__":
    main({"location": serve})

"""`python -m rtcc_exchange`: exchange alone in a process."""

from rtcc_chassis.runner import main
from rtcc_exchange.service import serve

if __name__ == "__main__":
    main({"exchange": serve})

"""`python -m rtcc_ledger`."""

from rtcc_chassis.runner import main
from rtcc_ledger.service import serve

if __name__ == "__main__":
    main({"ledger": serve})

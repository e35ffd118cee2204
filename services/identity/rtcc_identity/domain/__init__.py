"""Pure rules: names and how they are misspelt, rough dates, addresses, records, what whom is shown. No I/O, no clock."""

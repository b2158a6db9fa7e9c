"""What a chain cannot be made of: pure checks of a specification, the same for an import file and for rows.

Each gives problems: where they are in the specification, and what is wrong there and how to mend it.
"""

"""Money: prices of models, a ledger of what was spent, and budgets that cannot be overspent.

Nothing here is imported before a cost is looked at, or a budget, a maximum or a tag is set.
"""

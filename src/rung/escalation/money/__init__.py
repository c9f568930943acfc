"""What may be spent: worst cases and bills, the cost guard of a task, the budgets of days."""

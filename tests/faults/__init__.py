"""What bad input gets, through the whole product: the issue's section 7, case by case."""

"""Talk to an abdominal CT: `ask(ct, question)`, `open_ct(path)`, `plan_question(text)`."""

-- The contract promises a number to call when the gate is locked.

-- up
ALTER TABLE customers ADD COLUMN phone_number TEXT NOT NULL DEFAULT '';

-- down
ALTER TABLE customers DROP COLUMN phone_number;

CREATE EXTENSION IF NOT EXISTS "uuid-ossp";
CREATE EXTENSION IF NOT EXISTS "postgis";
CREATE EXTENSION IF NOT EXISTS "pgcrypto";

CREATE OR REPLACE FUNCTION update_audit_fields()
RETURNS TRIGGER AS $$
BEGIN
    NEW.updated_at = CURRENT_TIMESTAMP;
    NEW.updated_by = current_user;
    RETURN NEW;
END;
$$ LANGUAGE plpgsql;

CREATE TABLE customers (
    id UUID PRIMARY KEY DEFAULT uuid_generate_v4(),
    business_name VARCHAR(255) NOT NULL,
    contact_info JSONB NOT NULL,
    address_info JSONB NOT NULL,
    tax_id_encrypted BYTEA,
    billing_info_encrypted BYTEA,
    contract_status VARCHAR(50),
    created_at TIMESTAMP DEFAULT NOW(),
    created_by VARCHAR(100) DEFAULT current_user,
    updated_at TIMESTAMP DEFAULT NOW(),
    updated_by VARCHAR(100) DEFAULT current_user,
    deleted_at TIMESTAMP,
    deletion_reason TEXT
);

CREATE POLICY customer_access ON customers
    USING (
        current_user = 'super_admin' OR
        current_user = 'admin' OR
        (current_user = 'customer' AND id = current_setting('app.current_customer_id')::UUID)
    );

CREATE INDEX idx_customers_status ON customers(contract_status) WHERE deleted_at IS NULL;
CREATE INDEX idx_customers_created ON customers(created_at);

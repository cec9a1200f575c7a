-- PostfixAdmin on PostgreSQL: the columns that mail delivery reads.
CREATE TABLE domain (domain varchar PRIMARY KEY, transport varchar, backupmx boolean NOT NULL DEFAULT false,
                     active boolean NOT NULL DEFAULT true);
CREATE TABLE mailbox (username varchar PRIMARY KEY, maildir varchar NOT NULL, local_part varchar NOT NULL,
                      domain varchar NOT NULL REFERENCES domain, quota bigint NOT NULL DEFAULT 0,
                      active boolean NOT NULL DEFAULT true);
CREATE TABLE alias (address varchar PRIMARY KEY, goto text NOT NULL, domain varchar NOT NULL REFERENCES domain,
                    active boolean NOT NULL DEFAULT true);
CREATE TABLE alias_domain (alias_domain varchar PRIMARY KEY REFERENCES domain,
                           target_domain varchar NOT NULL REFERENCES domain, active boolean NOT NULL DEFAULT true);

INSERT INTO domain (domain, transport, backupmx) VALUES
  ('pa.example', 'virtual', false), ('catch.example', 'virtual', false), ('alias.example', 'virtual', false),
  ('calias.example', 'virtual', false), ('backup.example', 'virtual', true);
INSERT INTO mailbox (username, maildir, local_part, domain, active) VALUES
  ('anna@pa.example', 'pa.example/anna/', 'anna', 'pa.example', true),
  ('bert@pa.example', 'pa.example/bert/', 'bert', 'pa.example', true),
  ('away@pa.example', 'pa.example/away/', 'away', 'pa.example', true),
  ('off@pa.example', 'pa.example/off/', 'off', 'pa.example', false),
  ('carl@catch.example', 'catch.example/carl/', 'carl', 'catch.example', true);
-- Every mailbox has an alias row to itself.
INSERT INTO alias (address, goto, domain, active) VALUES
  ('anna@pa.example', 'anna@pa.example', 'pa.example', true),
  ('bert@pa.example', 'bert@pa.example,anna@pa.example', 'pa.example', true),
  ('away@pa.example', 'away@pa.example,away#pa.example@autoreply.pa.example', 'pa.example', true),
  ('off@pa.example', 'off@pa.example', 'pa.example', false),
  ('carl@catch.example', 'carl@catch.example', 'catch.example', true),
  ('team@pa.example', 'anna@pa.example,bert@pa.example', 'pa.example', true),
  ('sales@pa.example', 'anna@pa.example', 'pa.example', true),
  ('old@pa.example', 'anna@pa.example', 'pa.example', false),
  ('out@pa.example', 'someone@remote.example', 'pa.example', true),
  ('@catch.example', 'anna@pa.example', 'catch.example', true);
INSERT INTO alias_domain (alias_domain, target_domain) VALUES
  ('alias.example', 'pa.example'), ('calias.example', 'catch.example');

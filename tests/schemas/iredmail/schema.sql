-- iRedMail on PostgreSQL: the columns that mail delivery reads.
CREATE TABLE domain (domain varchar PRIMARY KEY, transport varchar NOT NULL DEFAULT 'dovecot',
                     backupmx smallint NOT NULL DEFAULT 0, active smallint NOT NULL DEFAULT 1);
CREATE TABLE alias_domain (alias_domain varchar PRIMARY KEY, target_domain varchar NOT NULL,
                           active smallint NOT NULL DEFAULT 1);
CREATE TABLE mailbox (username varchar PRIMARY KEY, storagenode varchar NOT NULL DEFAULT 'vmail1',
                      maildir varchar NOT NULL, domain varchar NOT NULL, transport varchar NOT NULL DEFAULT '',
                      enabledeliver smallint NOT NULL DEFAULT 1, active smallint NOT NULL DEFAULT 1);
CREATE TABLE forwardings (id serial PRIMARY KEY, address varchar NOT NULL, forwarding varchar NOT NULL,
                          domain varchar NOT NULL, active smallint NOT NULL DEFAULT 1, UNIQUE (address, forwarding));

INSERT INTO domain (domain, active) VALUES ('ired.example', 1), ('catch.example', 1), ('closed.example', 0);
INSERT INTO alias_domain (alias_domain, target_domain, active) VALUES
  ('alias.example', 'ired.example', 1), ('calias.example', 'catch.example', 1), ('gone.example', 'ired.example', 0);
INSERT INTO mailbox (username, maildir, domain, enabledeliver, active) VALUES
  ('anna@ired.example', 'ired.example/a/n/n/anna-2024.01.01', 'ired.example', 1, 1),
  ('bert@ired.example', 'ired.example/b/e/r/bert-2024.01.01', 'ired.example', 1, 1),
  ('off@ired.example', 'ired.example/o/f/f/off-2024.01.01', 'ired.example', 1, 0),
  ('nodeliver@ired.example', 'ired.example/n/o/d/nodeliver-2024.01.01', 'ired.example', 0, 1),
  ('carl@catch.example', 'catch.example/c/a/r/carl-2024.01.01', 'catch.example', 1, 1),
  ('shut@catch.example', 'catch.example/s/h/u/shut-2024.01.01', 'catch.example', 1, 0),
  ('dora@closed.example', 'closed.example/d/o/r/dora-2024.01.01', 'closed.example', 1, 1);
-- One row a target, and one to itself for each mailbox; a bare domain is its catch-all.
INSERT INTO forwardings (address, forwarding, domain, active) VALUES
  ('anna@ired.example', 'anna@ired.example', 'ired.example', 1),
  ('bert@ired.example', 'bert@ired.example', 'ired.example', 1),
  ('bert@ired.example', 'anna@ired.example', 'ired.example', 1),
  ('off@ired.example', 'off@ired.example', 'ired.example', 0),
  ('nodeliver@ired.example', 'nodeliver@ired.example', 'ired.example', 1),
  ('carl@catch.example', 'carl@catch.example', 'catch.example', 1),
  ('shut@catch.example', 'shut@catch.example', 'catch.example', 0),
  ('dora@closed.example', 'dora@closed.example', 'closed.example', 1),
  ('team@ired.example', 'anna@ired.example', 'ired.example', 1),
  ('team@ired.example', 'bert@ired.example', 'ired.example', 1),
  ('old@ired.example', 'anna@ired.example', 'ired.example', 0),
  ('out@ired.example', 'someone@remote.example', 'ired.example', 1),
  ('catch.example', 'anna@ired.example', 'catch.example', 1),
  ('catch.example', 'bert@ired.example', 'catch.example', 1);

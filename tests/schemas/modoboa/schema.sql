-- Modoboa on PostgreSQL: the columns that mail delivery reads.
CREATE TABLE core_user (id int PRIMARY KEY, email varchar NOT NULL, is_active boolean NOT NULL DEFAULT true);
CREATE TABLE admin_domain (id int PRIMARY KEY, name varchar NOT NULL UNIQUE, type varchar NOT NULL DEFAULT 'domain',
                           enabled boolean NOT NULL DEFAULT true);
CREATE TABLE admin_domainalias (id int PRIMARY KEY, name varchar NOT NULL UNIQUE,
                                target_id int NOT NULL REFERENCES admin_domain, enabled boolean NOT NULL DEFAULT true);
CREATE TABLE admin_mailbox (id int PRIMARY KEY, address varchar NOT NULL, domain_id int NOT NULL REFERENCES admin_domain,
                            user_id int NOT NULL REFERENCES core_user, quota int NOT NULL DEFAULT 0,
                            is_send_only boolean NOT NULL DEFAULT false);
CREATE TABLE admin_alias (id int PRIMARY KEY, address varchar NOT NULL UNIQUE, enabled boolean NOT NULL DEFAULT true,
                          internal boolean NOT NULL DEFAULT false, expire_at timestamptz);
CREATE TABLE modoboa_admin_aliasrecipient (id serial PRIMARY KEY, address varchar NOT NULL,
                                           alias_id int NOT NULL REFERENCES admin_alias);

INSERT INTO core_user VALUES (1, 'anna@modo.example', true), (2, 'bert@modo.example', true),
  (3, 'off@modo.example', false), (4, 'carl@catch.example', true), (5, 'dora@closed.example', true),
  (6, 'robot@modo.example', true);
INSERT INTO admin_domain (id, name, type, enabled) VALUES (1, 'modo.example', 'domain', true),
  (2, 'catch.example', 'domain', true), (3, 'closed.example', 'domain', false);
INSERT INTO admin_domainalias VALUES (1, 'alias.example', 1, true);
INSERT INTO admin_mailbox (id, address, domain_id, user_id) VALUES
  (1, 'anna', 1, 1), (2, 'bert', 1, 2), (3, 'off', 1, 3), (4, 'carl', 2, 4), (5, 'dora', 3, 5);
INSERT INTO admin_mailbox (id, address, domain_id, user_id, is_send_only) VALUES (6, 'robot', 1, 6, true);
-- Every mailbox has an internal alias to itself, and every alias domain one to its target.
INSERT INTO admin_alias (id, address, enabled, internal, expire_at) VALUES
  (1, 'anna@modo.example', true, true, NULL), (2, 'bert@modo.example', true, true, NULL),
  (3, 'off@modo.example', false, true, NULL), (4, 'carl@catch.example', true, true, NULL),
  (5, 'dora@closed.example', false, true, NULL), (6, '@alias.example', true, true, NULL),
  (7, 'team@modo.example', true, false, NULL), (8, 'old@modo.example', true, false, '2020-01-01'),
  (9, 'soon@modo.example', true, false, 'infinity'), (10, 'no@modo.example', false, false, NULL),
  (11, '@catch.example', true, false, NULL), (12, 'out@modo.example', true, false, NULL);
INSERT INTO modoboa_admin_aliasrecipient (address, alias_id) VALUES
  ('anna@modo.example', 1), ('bert@modo.example', 2), ('off@modo.example', 3), ('carl@catch.example', 4),
  ('dora@closed.example', 5), ('@modo.example', 6), ('anna@modo.example', 7), ('bert@modo.example', 7),
  ('anna@modo.example', 8), ('anna@modo.example', 9), ('anna@modo.example', 10), ('bert@modo.example', 11),
  ('someone@remote.example', 12);

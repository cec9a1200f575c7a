-- vmm (Virtual Mail Manager): the columns that mail delivery reads. The functions have vmm's names, arguments and
-- columns; their bodies are written anew and answer the same.
CREATE TABLE domain_data (gid bigint PRIMARY KEY, domaindir text NOT NULL);
CREATE TABLE domain_name (domainname text PRIMARY KEY, gid bigint NOT NULL REFERENCES domain_data,
                          is_primary boolean NOT NULL);
CREATE TABLE maillocation (mid bigint PRIMARY KEY, directory text NOT NULL);
CREATE TABLE users (uid bigint PRIMARY KEY, local_part text NOT NULL, gid bigint NOT NULL REFERENCES domain_data,
                    mid bigint NOT NULL REFERENCES maillocation);
CREATE TABLE alias (gid bigint NOT NULL, address text NOT NULL, destination text NOT NULL);
CREATE TABLE catchall (gid bigint NOT NULL, destination text NOT NULL);
CREATE TABLE relocated (gid bigint NOT NULL, address text NOT NULL, destination text NOT NULL);

CREATE VIEW postfix_gid AS SELECT gid, domainname FROM domain_name;

-- In a destination %n is the local part, %d the domain, %= both with "=" between.
CREATE FUNCTION _interpolate_destination(destination text, localpart text, the_domain text)
RETURNS text LANGUAGE sql STABLE AS $$
  SELECT replace(replace(replace(destination, '%n', localpart), '%d', the_domain), '%=', localpart||'='||the_domain)
$$;

-- Alias rows; else, in a domain with a catch-all, a user or relocated one itself; else the catch-all.
CREATE FUNCTION postfix_virtual_alias_map(localpart varchar, the_domain varchar)
RETURNS TABLE (recipient text, destination text) LANGUAGE sql STABLE AS $$
  WITH
    did AS (SELECT gid FROM domain_name WHERE domainname = the_domain),
    aliases AS (SELECT a.destination FROM alias a JOIN did USING (gid) WHERE a.address = localpart),
    rest AS (SELECT c.destination FROM catchall c JOIN did USING (gid) WHERE NOT EXISTS (SELECT FROM aliases)),
    known AS (SELECT FROM users JOIN did USING (gid) WHERE local_part = localpart
              UNION ALL SELECT FROM relocated r JOIN did USING (gid) WHERE r.address = localpart),
    found AS (SELECT * FROM aliases
              UNION ALL SELECT * FROM rest WHERE NOT EXISTS (SELECT FROM known)
              UNION ALL (SELECT localpart||'@'||the_domain FROM rest WHERE EXISTS (SELECT FROM known) LIMIT 1))
  SELECT localpart||'@'||the_domain, _interpolate_destination(f.destination, localpart, the_domain) FROM found f
$$;

CREATE FUNCTION postfix_virtual_mailbox_map(localpart varchar, the_domain varchar)
RETURNS TABLE (address text, maildir text) LANGUAGE sql STABLE AS $$
  SELECT localpart||'@'||the_domain, domaindir||'/'||users.uid||'/'||directory||'/'
    FROM domain_name JOIN domain_data USING (gid) JOIN users USING (gid) JOIN maillocation USING (mid)
   WHERE domainname = the_domain AND local_part = localpart
$$;

CREATE FUNCTION postfix_virtual_uid_map(localpart varchar, the_domain varchar)
RETURNS TABLE (recipient text, uid bigint) LANGUAGE sql STABLE AS $$
  SELECT localpart||'@'||the_domain, users.uid FROM domain_name JOIN users USING (gid)
   WHERE domainname = the_domain AND local_part = localpart
$$;

INSERT INTO domain_data VALUES (70000, '/srv/mail/5/70000'), (70001, '/srv/mail/a/70001');
INSERT INTO domain_name VALUES ('vmm.example', 70000, true), ('alias.example', 70000, false),
  ('catch.example', 70001, true), ('calias.example', 70001, false);
INSERT INTO maillocation VALUES (1, 'Maildir'), (2, 'mail');
INSERT INTO users VALUES (70000, 'anna', 70000, 1), (70001, 'bert', 70000, 2), (70002, 'carl', 70001, 1);
INSERT INTO alias VALUES (70000, 'team', 'anna@vmm.example'), (70000, 'team', 'bert@vmm.example'),
  (70000, 'sales', 'anna@vmm.example'), (70000, 'tagged', 'anna+%n@%d'), (70000, 'out', 'someone@remote.example');
INSERT INTO catchall VALUES (70001, 'anna@vmm.example'), (70001, 'carl@catch.example');
INSERT INTO relocated VALUES (70000, 'moved', 'moved@remote.example'), (70001, 'moved', 'moved@remote.example');

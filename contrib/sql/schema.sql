-- The site's tables and the two views that Postfix, Dovecot and lmtpd read.
-- Loads unchanged into PostgreSQL (then roles.sql) and into SQLite.

CREATE TABLE transport (
    domain VARCHAR(128) NOT NULL,
    transport VARCHAR(128) NOT NULL,
    PRIMARY KEY (domain)
);

CREATE TABLE users (
    userid VARCHAR(128) NOT NULL,
    password VARCHAR(128),
    realname VARCHAR(128),
    uid INTEGER NOT NULL,
    gid INTEGER NOT NULL,
    home VARCHAR(128),
    mail VARCHAR(255),
    PRIMARY KEY (userid)
);

CREATE TABLE virtual (
    address VARCHAR(255) NOT NULL,
    userid VARCHAR(255) NOT NULL,
    PRIMARY KEY (address)
);

-- A row for each domain too, so that Postfix, asked for a bare domain, knows it as one of its
-- virtual mailbox domains. `dummy` is never a mailbox.
create view postfix_mailboxes as
    select userid, home||'/' as mailbox from users
    union all
    select domain as userid, 'dummy' as mailbox from transport;

-- Every user is an alias of himself: a catch-all does not take his mail.
create view postfix_virtual as
    select userid, userid as address from users
    union all
    select userid, address from virtual;

-- PostgreSQL only, after schema.sql. Postfix, Dovecot and lmtpd read as mailreader; mailwriter is for
-- the tools that change rows. Choose passwords of your own.

CREATE USER mailreader PASSWORD 'secret';
grant select on transport, users, virtual, postfix_mailboxes, postfix_virtual to mailreader;

create user mailwriter password 'secret';
grant select, insert, update, delete on transport, users, virtual, postfix_mailboxes, postfix_virtual to mailwriter;

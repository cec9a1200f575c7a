-- Rows for more.tsv, after fixture.sql. Loads into PostgreSQL and SQLite.
INSERT INTO transport VALUES ('more.org','virtual:'),('full.org','virtual:'),('list.org','virtual:'),('split.org','virtual:'),('deeper.org','virtual:'),
 ('closed@more.org','error:5.2.1 mailbox closed'),('.shut.org','retry:4.7.1 moved, come again'),('nostatus.org','error:no such place');
INSERT INTO users(userid,uid,gid,home) VALUES
 ('a@more.org',1007,1007,'more.org/a'),('b@more.org',1007,1007,'more.org/b'),('closed@more.org',1007,1007,'more.org/closed'),
 ('m1@more.org',1007,1007,'more.org/m1'),('m2@more.org',1007,1007,'more.org/m2'),('m3@more.org',1007,1007,'more.org/m3'),
 ('mailer@more.org',1007,1007,'more.org/mailer'),('double@more.org',1007,1007,'more.org/double'),('owner@more.org',1007,1007,'more.org/owner'),
 ('"q q"@more.org',1007,1007,'more.org/quoted'),('q q@more.org',1007,1007,'more.org/unquoted'),('"us..er"@more.org',1007,1007,'more.org/dots'),
 ('"at@at"@more.org',1007,1007,'more.org/at'),('gasse@more.org',1007,1007,'more.org/gasse'),
 ('user@full.org',1007,1007,'full.org/user'),('root',1007,1007,'host.test/root'),('a@more.host.test',1007,1007,'host.test/a'),
 ('u@a.shut.org',1007,1007,'shut.org/u'),('u@nostatus.org',1007,1007,'nostatus.org/u');
INSERT INTO virtual VALUES
 -- Keys.
 ('abuse+y','a@more.org'),('abuse@mx.host.test','a@more.org'),('in ner@more.org','a@more.org'),
 ('@full.org','b@more.org'),('x@full.org','a@more.org'),('q uery@more.org','a@more.org'),('"loc al"','a@more.org'),
 -- Extensions.
 ('both@more.org','a@more.org, b@more.org'),('user@moved.org','@domain.org'),('a+list@more.org','b@more.org'),
 -- Lists.
 ('bang@more.org','more.org!a'),('bang2@more.org','elsewhere!a@more.org'),('nodot@more.org','a@more'),('route@more.org','<@x.example,@y.example:a@more.org>'),
 ('nested@more.org','b@more.org (a (nested \) one)), a@more.org'),
 -- Recursion.
 ('one@loop.org','two@loop.org'),('two@loop.org','three@loop.org'),('three@loop.org','one@loop.org'),
 ('toself@loop.org','self@loop.org'),('self@loop.org','self@loop.org,a@more.org'),
 ('meet@loop.org','left@loop.org,right@loop.org'),('left@loop.org','a@more.org'),('right@loop.org','a@more.org'),
 ('m3@more.org','tom3@loop.org'),('tom3@loop.org','m3@more.org'),('m1@more.org','m2@more.org'),('m2@more.org','m1@more.org'),('side@loop.org','a@more.org,loopa@loop.org'),
 -- Targets.
 ('withbad@more.org','a@more.org,uid0@domain.org'),('dead@more.org','no1@more.org,no2@domain.org'),('beneath@more.org','x@sub.more.org'),
 ('toclosed@more.org','closed@more.org'),('besideclosed@more.org','closed@more.org,a@more.org'),('besidemoved@more.org','a@more.org,u@a.shut.org'),
 -- result_format, encoding and `domain`.
 ('format@more.org','a@elsewhere.example'),('nodomain@more.org','a'),('latin1@more.org','ü@more.org'),('x@list.org','a@more.org'),('@list.org','b@more.org');

-- Values too long or too many for `virtual`.
CREATE TABLE more_wide (address TEXT NOT NULL, number INTEGER NOT NULL, userid TEXT);
INSERT INTO more_wide VALUES ('gaps@more.org',1,'a@more.org'),('gaps@more.org',2,NULL),('gaps@more.org',3,''),('gaps@more.org',4,'b@more.org'),
 ('long1000@more.org',1,repeat('y',991)||'@more.org'),('long1001@more.org',1,repeat('y',992)||'@more.org'),
 ('chain999@more.org',1,'3@chain.org'),('chain1000@more.org',1,'2@chain.org'),('1000@chain.org',1,'a@more.org'),('a@more.org',1,'a@more.org');
INSERT INTO more_wide WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM count WHERE n < 1001)
 SELECT 'wide1001@more.org', n, 'a+'||n||'@more.org' FROM count UNION ALL
 SELECT 'wide1000@more.org', n, 'a+'||n||'@more.org' FROM count WHERE n < 1001 UNION ALL
 SELECT n||'@chain.org', 1, (n+1)||'@chain.org' FROM count WHERE n < 1000;

-- Two tables for one parameter.
CREATE TABLE more_first (address TEXT NOT NULL, userid TEXT NOT NULL);
CREATE TABLE more_second (address TEXT NOT NULL, userid TEXT NOT NULL);
INSERT INTO more_first VALUES ('@key.org','a@more.org'),('y@key.org','a@more.org');
INSERT INTO more_second VALUES ('x@key.org','b@more.org'),('y@key.org','b@more.org');

-- Mailboxes whose ids have keys of their own.
CREATE TABLE more_paths (userid TEXT NOT NULL, path TEXT NOT NULL);
CREATE TABLE more_ids (userid TEXT NOT NULL, uid TEXT NOT NULL, gid TEXT NOT NULL);
INSERT INTO more_paths VALUES ('x@split.org','split.org/x/'),('mbox@split.org','split.org/mbox'),('two@split.org','split.org/1/'),('two@split.org','split.org/2/'),
 ('junk@split.org','split.org/junk/'),('minus@split.org','split.org/minus/'),('none@deeper.org','deeper.org/none/');
INSERT INTO more_ids VALUES ('@split.org','1007','1008'),('junk@split.org','1007x','1008'),('minus@split.org','-1','1008');

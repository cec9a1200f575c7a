-- The ISPmail tutorial (workaround.org).
CREATE TABLE virtual_domains (id int PRIMARY KEY, name varchar(50) NOT NULL);
CREATE TABLE virtual_users (id int PRIMARY KEY, domain_id int NOT NULL REFERENCES virtual_domains,
                            email varchar(100) NOT NULL UNIQUE, password varchar(150) NOT NULL,
                            quota bigint NOT NULL DEFAULT 0);
CREATE TABLE virtual_aliases (id serial PRIMARY KEY, domain_id int NOT NULL REFERENCES virtual_domains,
                              source varchar(100) NOT NULL, destination varchar(100) NOT NULL);

INSERT INTO virtual_domains VALUES (1, 'isp.example'), (2, 'catch.example');
INSERT INTO virtual_users (id, domain_id, email, password) VALUES
  (1, 1, 'john@isp.example', ''), (2, 1, 'jane@isp.example', ''), (3, 2, 'carl@catch.example', ''),
  (4, 1, 'Mixed@isp.example', '');
INSERT INTO virtual_aliases (domain_id, source, destination) VALUES
  (1, 'jack@isp.example', 'john@isp.example'),
  (1, 'team@isp.example', 'john@isp.example'), (1, 'team@isp.example', 'jane@isp.example'),
  (1, 'chain@isp.example', 'jack@isp.example'),
  (1, 'out@isp.example', 'someone@remote.example'),
  (1, 'dead@isp.example', 'nobody@isp.example'),
  (1, 'a@isp.example', 'b@isp.example'), (1, 'b@isp.example', 'a@isp.example'),
  (2, '@catch.example', 'jane@isp.example');

-- lmtpd hears of changed rows at once instead of after cache_ttl. PostgreSQL 14 or later, after schema.sql,
-- as the owner of the tables; may be loaded again. docs/postgresql.md says what it costs and cannot do.
--
-- A notice on channel `lmtpd` is one or more lines: the key of a changed row, old and new, as lmtpd asks for
-- it (it folds the case itself), or `*`: forget everything. `*` comes in place of the keys of a statement
-- that changes more than 1,000, and of the rest of a transaction that has changed so many.
--
-- To remove it:  drop function lmtpd_notify() cascade; drop function lmtpd_watch(regclass, text);

begin;

-- For statement triggers; the argument is the key, an SQL expression of a row's columns. Runs as whoever
-- changes the rows and needs no right of his, for everybody may notify. The fixed search_path keeps others'
-- functions out; what the expression takes from a schema of your own it names in full.
create or replace function lmtpd_notify() returns trigger
    language plpgsql
    set search_path = pg_catalog, pg_temp
as $$
declare
    most_keys constant integer := 1000;
    most_octets constant integer := 7000;  -- of a notice; PostgreSQL refuses 8,000
    -- Keys that this transaction has sent, beyond most_keys: `*`. It ends with the transaction, and a return
    -- to a savepoint takes it back together with the notices.
    sent integer := coalesce(nullif(current_setting('lmtpd.keys_sent', true), ''), '0');
    everything boolean := TG_OP = 'TRUNCATE';
    keys text[];
    key text;
    notice text;
begin
    if sent > most_keys then
        return null;
    end if;
    if not everything then
        -- No more rows are read than it takes to see a bulk load; an UPDATE has each twice. lmtpd never
        -- asks for an empty key, and a control character could not be told from the end of a line.
        execute format(
            'select count(*) > %2$s or bool_or(key ~ ''[[:cntrl:]]'' or octet_length(key) > %3$s),'
            '       array_agg(distinct key) filter (where key <> '''')'
            '  from (select (%1$s)::text collate "C" as key from (%4$s) as changed limit %2$s + 1) as seen',
            TG_ARGV[0], 2 * most_keys, most_octets,
            case TG_OP
                when 'INSERT' then 'table new_rows'
                when 'DELETE' then 'table old_rows'
                else 'table old_rows union all table new_rows'
            end)
            into everything, keys;
        everything := everything or sent + cardinality(keys) > most_keys;
    end if;
    if everything then
        keys := array['*'];
        sent := most_keys;
    end if;
    foreach key in array coalesce(keys, '{}') loop
        if octet_length(notice) + 1 + octet_length(key) > most_octets then
            perform pg_notify('lmtpd', notice);
            notice := null;
        end if;
        notice := concat_ws(chr(10), notice, key);
    end loop;
    if notice is not null then
        perform pg_notify('lmtpd', notice);
        perform set_config('lmtpd.keys_sent', (sent + cardinality(keys))::text, true);
    end if;
    return null;
end
$$;

-- Puts the triggers on a table.
create or replace function lmtpd_watch(watched regclass, key text) returns void
    language plpgsql
as $$
declare
    event text;
    rows text;
begin
    for event, rows in values
        ('insert', 'referencing new table as new_rows'),
        ('update', 'referencing old table as old_rows new table as new_rows'),
        ('delete', 'referencing old table as old_rows'),
        ('truncate', '')
    loop
        execute format('create or replace trigger lmtpd_%1$s after %1$s on %2$s %3$s'
                       ' for each statement execute function %4$s(%5$L)',
                       event, watched, rows, 'lmtpd_notify'::regproc, key);
    end loop;
end
$$;

select lmtpd_watch('users', 'userid');
select lmtpd_watch('virtual', 'address');
select lmtpd_watch('transport', 'domain');

commit;

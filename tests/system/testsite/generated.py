"""Rows for the site's tables, made by chance from a seed, and addresses to try on them.

Users, aliases (lists, several rows an address, extensions, catch-alls, moved domains, circles with and
without an end, chains and widths at the limits), transport rows that are no domains. All keys are
lower case but for one that can never match.
"""

import random
import re
import string

DOMAINS = [f"d{number}.example" for number in range(1, 8)]
ELSEWHERE = "remote.test"
HOME = "mx.host.test"  # mydestination: tables are asked for the bare user too
LIMIT = 100  # for virtual_alias_recursion_limit and virtual_alias_expansion_limit
LENGTH_LIMIT = 150  # for virtual_alias_address_length_limit

ATOM = r"[\w!#$%&'*/=?^`{|}~+-]+"


def quoted(local):
    if re.fullmatch(rf"{ATOM}(\.{ATOM})*", local):
        return local
    return '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(local):
    return re.sub(r"\\(.)", r"\1", local[1:-1]) if local.startswith('"') else local


class GeneratedSite:
    """`users`: address to home. `aliases`: address to its rows' values. `transport`: further keys."""

    def __init__(self, seed, delimiters):
        self.random = random.Random(seed)
        self.delimiters = delimiters
        self.names = [f"{word}{number}" for number in range(50)
                      for word in ("anna", "ben.o", "c-d", "e_f", "owner-g", "h-request")]
        self.users = {}
        self._add_users()
        self.aliases = {f"{self._alias_name(number)}@{self.domain()}": [] for number in range(800)}
        for address in self.random.sample(sorted(self.users), 60):
            self.aliases[address] = []  # beside the row that each user has in the view
        for address in self.aliases:
            self.aliases[address] = self._rows(address)
        self._add_rings()
        self._add_limits()
        self._add_one_of_each()
        self.aliases |= {"@d4.example": [self.user()], "@d5.example": ["@d1.example"],
                         **{f"bare{number}": [self.user()] for number in range(5)}, "bare0+own": [self.user()]}
        self.transport = [*self.random.sample(sorted(self.users), 5), "ghost@d2.example", "@d7.example"]

    def domain(self):
        return self.random.choice(DOMAINS)

    def user(self):
        return self.random.choice(sorted(self.users))

    def extended(self, address):
        """With an extension; inside the quotes, where there are any."""
        local, domain = address.rsplit("@", 1)
        extension = self.random.choice(["ext", "Ext", "a+b", "", "x-y"])
        return quoted(unquoted(local) + self.random.choice(self.delimiters) + extension) + "@" + domain

    def _add_user(self, address):
        self.users.setdefault(address, f"box{len(self.users)}")

    def _add_users(self):
        for name in self.random.sample(self.names, 200):
            self._add_user(f"{name}@{self.domain()}")
        for local in ("john doe", "back\\slash", 'quo"te', "two..dots", "o'brien", "plus+one"):
            self._add_user(f"{quoted(local)}@{self.domain()}")
        for local in ("owner", "team", "postmaster", "mailer-daemon"):
            self._add_user(f"{local}@d1.example")
        for address in self.random.sample(sorted(self.users), 20):
            self._add_user(self.extended(address).lower())  # a mailbox of its own
        self._add_user("Dead.Case@d1.example")
        self._add_user("@d6.example")

    def _alias_name(self, number):
        return self.random.choice([f"alias{number}", f"list{number}", f"alias{number}+ext",
                                   quoted(f"odd alias {number}")])

    def _target(self):
        kind = self.random.random()
        if kind < 0.45:
            return self.user()
        if kind < 0.75:
            return self.random.choice(sorted(self.aliases))
        if kind < 0.85:
            return self.extended(self.user())
        if kind < 0.92:
            return f"nobody{self.random.randrange(1000)}@{self.domain()}"
        if kind < 0.97:
            return self.user().upper()
        return self.random.choice([f"someone{self.random.randrange(100)}@{ELSEWHERE}", "unqualified",
                                   "ghost@d2.example", f"user%{self.domain()}"])

    def _rows(self, address):
        kind = self.random.random()
        if kind < 0.03:
            return [self.random.choice(["", ":,;", "  ", "()"])]
        if kind < 0.05:
            return ["@" + self.domain()]
        targets = [self._target() for _ in range(self.random.choice([1, 1, 1, 2, 3, 5]))]
        if self.random.random() < 0.05:
            targets.insert(self.random.randrange(2), address)
        if self.random.random() < 0.1:
            return [", ".join(f"Some One <{target}>" for target in targets)]
        if self.random.random() < 0.3:
            return [*targets, self.random.choice(["", self.user()])]  # several rows
        return [self.random.choice([", ", ",", " ", "; ", "\n"]).join(targets)]

    def _add_rings(self):
        """Few addresses that lead mostly to each other, some of them to themselves too."""
        self._add_user("kept@d1.example")
        self.aliases |= {"circle@d1.example": ["kept@d1.example"], "kept@d1.example": ["circle@d1.example"]}
        for ring in range(60):
            members = [f"ring{ring}-{number}@{self.domain()}" for number in range(self.random.randint(2, 5))]
            for address in members:
                targets = self.random.choices(members, k=self.random.choice([1, 1, 2, 3]))
                if self.random.random() < 0.35:
                    targets[self.random.randrange(len(targets))] = self.user()
                if self.random.random() < 0.3:
                    targets.insert(self.random.randrange(len(targets) + 1), address)
                if self.random.random() < 0.1:
                    targets = [self.extended(target) for target in targets]
                self.aliases[address] = [", ".join(targets)]
                if self.random.random() < 0.4:
                    self._add_user(address)

    def _add_limits(self):
        for number in range(LIMIT + 3):
            self.aliases[f"chain{number}@d1.example"] = [f"chain{number + 1}@d1.example"]
        self.aliases[f"chain{LIMIT + 3}@d1.example"] = [self.user()]
        for width in range(LIMIT - 1, LIMIT + 3):
            self.aliases[f"wide{width}@d2.example"] = self.random.sample(sorted(self.users), width)
        for length in range(LENGTH_LIMIT - 2, LENGTH_LIMIT + 3):
            for local in ("x" * (length - 11), quoted("x y" + "x" * (length - 16))):
                self.aliases[f"long{length}{len(local)}@d3.example"] = [f"{local}@d2.example"]
        self.aliases["grow@d3.example"] = ["grow+x@d3.example"]
        self.aliases["fast@d3.example"] = [f"fast+{'x' * 30}@d3.example"]

    def _add_one_of_each(self):
        """What chance might leave out."""
        self.aliases |= {
            "twice@d1.example": ["kept@d1.example", "kept+x@d1.example"],
            "away@d1.example": [f"kept@d1.example, someone@{ELSEWHERE}"],
            "ghosts@d1.example": ["nobody@d1.example"], "half@d1.example": ["kept@d1.example nobody@d1.example"],
            "junk@d1.example": [":,;"]}

    def addresses(self, count):
        limits = [*(f"chain{number}@d1.example" for number in range(7)),
                  *(key for key in self.aliases if re.match("wide|long|grow|fast", key)),
                  "bare0@" + HOME, "BARE1+x@" + HOME, "bare0+own@" + HOME, "ghost@d2.example", "circle@d1.example",
                  *(f"{local}@d1.example" for local in ("twice", "away", "ghosts", "half", "junk", "nobody")),
                  "anybody@d7.example",
                  "owner-x@d1.example", "team-request@d1.example", "team-x@d1.example",
                  "postmaster+x@d1.example", "mailer-daemon+x@d1.example", "Dead.Case@d1.example"]
        known = sorted(self.users) + sorted(key for key in self.aliases if "@" in key)
        known = [address for address in known if not address.startswith("@")]
        rings = [address for address in known if address.startswith("ring")]
        made = limits + self.transport[:5] + rings
        while len(made) < count:
            made.append(self._variant(self.random.choice(known)))
        return made[:count]

    def _variant(self, address):
        kind = self.random.random()
        local, domain = address.rsplit("@", 1)
        if kind < 0.2:
            return self.extended(address)
        if kind < 0.3:
            return "".join(self.random.choice([c.lower(), c.upper()]) for c in address)
        if kind < 0.35 and not local.startswith('"'):
            return f'"{local}"@{domain}'
        if kind < 0.5:
            return f"{self.random.choice(self.names)}@{self.domain()}"
        if kind < 0.55:
            junk = "".join(self.random.choices(string.ascii_letters + "._+-", k=8)).strip(".")
            return quoted(junk) + "@" + self.domain()
        return address

    def sql(self):
        def text(value):
            return "'" + value.replace("'", "''") + "'"
        return "\n".join([
            "ALTER TABLE virtual DROP CONSTRAINT virtual_pkey;",
            *(f"INSERT INTO transport VALUES ({text(key)}, 'virtual:');" for key in DOMAINS + self.transport),
            *(f"INSERT INTO users (userid, uid, gid, home) VALUES ({text(user)}, 1001, 1001, {text(home)});"
              for user, home in self.users.items()),
            *(f"INSERT INTO virtual (address, userid) VALUES ({text(alias)}, {text(value)});"
              for alias, values in self.aliases.items() for value in values)])

"""A synthetic construction firm, kept by two systems that drift apart: `snapshot(day)` gives all 18 tables as of a day.

Deterministic: everything is drawn once from a seed, and a row's values are a function of the row and the day. A row is
written again when it is touched (a share of all rows each day), when its status moves, and when the systems begin or cease
to disagree about it; `updated_at` tells when it last was. Size 1 has 1.7 million rows on the last day.
"""
import datetime as dt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FIRST_DAY = dt.date(2023, 1, 1)
LAST = 1095  # 2025-12-31; the nights after it are read too
NIGHTS = 3
EPOCH = (FIRST_DAY - dt.date(1970, 1, 1)).days
NEVER = 10**6
TOUCHED_DAILY = 0.006

FIRST = ("Summit Granite Cedar Pioneer Atlas Keystone Ironwood Coastal Delta Evergreen Falcon Harbor Horizon Imperial Lakeside Liberty "
         "Madison Metro Midland Monarch Northern Olympic Pacific Patriot Phoenix Pinnacle Premier Rainier Redwood Regal Riverside Sierra "
         "Silver Southern Sterling Superior Titan Tri-State United Valley Vanguard Victory Western Wolverine Zenith Anderson Baker "
         "Campbell Edwards Fischer Garcia Hernandez Johnson Kowalski Larsen Mueller Nguyen Ortiz Peterson Quintero Romero Schmidt "
         "Thompson Vasquez Walker Xiong Young Zimmerman Abbott Brennan Carver Dalton Ellis Foster Griffin Irving Jensen Keller Lowell "
         "Mercer Norris Osborne Pratt Quinn Rhodes Sutton Turner Upton Vaughn Wagner").split()
TRADES = ("Electric Plumbing Concrete Masonry Roofing Drywall Painting Steel Erectors Glass Mechanical HVAC Excavation Paving Landscaping "
          "Flooring Carpentry Millwork Insulation Fireproofing Elevator Scaffolding Demolition Waterproofing Surveying Supply Rentals "
          "Builders Construction Contracting Services").split()
FORMS = ["Inc.", "LLC", "Corp.", "Co.", "Ltd", "Company", "Group", ""]
CITIES = ["Denver", "Austin", "Seattle", "Portland", "Phoenix", "Dallas", "Boston", "Chicago", "Atlanta", "Miami", "Reno", "Boise"]
STATES = ["CO", "TX", "WA", "OR", "AZ", "TX", "MA", "IL", "GA", "FL", "NV", "ID"]
DEFAULT_CODE = "00-0000"
CODES_OF_PROJECT = 75


def date_of(day):
    """The date of a day's number."""
    return FIRST_DAY + dt.timedelta(int(day))


def day_of(date):
    """The number of a date."""
    return (date - FIRST_DAY).days


def month_ends(count):
    """The last `count` month-ends up to the last day."""
    ends = [dt.date(year + (month == 12), month % 12 + 1, 1) - dt.timedelta(1) for year in (2023, 2024, 2025) for month in range(1, 13)]
    return ends[len(ends) - count:]


def decimals(cents):
    """Cents as decimal(18,2)."""
    words = np.empty((len(cents), 2), np.int64)
    words[:, 0], words[:, 1] = cents, np.asarray(cents, np.int64) >> 63
    return pa.Array.from_buffers(pa.decimal128(18, 2), len(cents), [None, pa.py_buffer(words.tobytes())])


def dates(days, unknown=None):
    return pa.array((np.minimum(days, LAST + 999) + EPOCH).astype(np.int32), mask=unknown).cast(pa.date32())


def numbered(prefix, numbers, width):
    return pc.binary_join_element_wise(prefix, pc.utf8_lpad(pa.array(numbers).cast(pa.string()), width, "0"), "")


def joined(*parts):
    return pc.binary_join_element_wise(*parts, " ")


def chosen(words, index):
    return pa.array(words).take(pa.array(index))


class Table:
    """Rows with their lives. A column is an array over all rows, or a function of row numbers and the day."""

    def __init__(self, random, key, born, columns, dead=None, moves=()):
        self.key, self.born, self.columns = key, born, columns
        self.dead = np.full(len(born), NEVER) if dead is None else dead
        life = np.clip(np.minimum(self.dead, LAST + NIGHTS + 1) - born, 0, None)
        touched = np.repeat(np.arange(len(born)), random.poisson(TOUCHED_DAILY * life))
        days = born[touched] + (random.random(len(touched)) * life[touched]).astype(np.int64)
        for move in moves:
            at = np.nonzero((move > born) & (move <= LAST + NIGHTS))[0]
            touched, days = np.concatenate([touched, at]), np.concatenate([days, move[at]])
        order = np.argsort(days, kind="stable")
        self.touched, self.days = touched[order], days[order]

    def snapshot(self, day):
        """The rows that live on a day, as they are on it."""
        rows = np.nonzero((self.born <= day) & (self.dead > day))[0]
        updated = self.born.copy()
        until = np.searchsorted(self.days, day, side="right")
        np.maximum.at(updated, self.touched[:until], self.days[:until])
        last = updated[rows]
        seconds = (last + EPOCH) * 86400 + (rows * 7919 + last * 104729) % 86400
        index = pa.array(rows)
        columns = {name: column(rows, day) if callable(column) else column.take(index) for name, column in self.columns.items()}
        columns["updated_at"] = pa.array(seconds * 1_000_000).cast(pa.timestamp("us", tz="UTC"))
        return pa.table(columns)


class Firm:
    """All tables of a firm of a size."""

    def __init__(self, size, seed=20260101):
        self.random = np.random.default_rng(seed)
        self.size = size
        self.tables = {}
        self._projects()
        self._vendors()
        self._cost_codes()
        self._commitments()
        self._vendor_invoices()
        self._owner_invoices()
        self._job_cost()

    def snapshot(self, table, day):
        return self.tables[table].snapshot(day)

    def _count(self, at_one):
        return max(1, round(at_one * self.size))

    def _table(self, name, key, born, columns, dead=None, moves=()):
        self.tables[name] = Table(self.random, key, born, columns, dead, moves)

    def _born(self, count, at_first):
        """Days on which rows are created, a share of them before the first day."""
        born = self.random.integers(1, LAST + NIGHTS + 1, count)
        born[self.random.random(count) < at_first] = 0
        return born

    def _some(self, count, share, days):
        """`days` for a share of rows, never for the others."""
        return np.where(self.random.random(count) < share, days, NEVER)

    def _projects(self):
        draw, count = self.random, self._count(200)
        self.projects = count
        self.job_numbers = numbered("J", np.arange(count), 5)
        kinds = chosen(["Tower", "Plaza", "School", "Hospital", "Bridge", "Campus"], draw.integers(0, 6, count))
        name = joined(chosen(FIRST, draw.integers(0, len(FIRST), count)), kinds, numbered("", np.arange(count), 3))
        born = np.zeros(count, np.int64)
        self._table("pm_projects", "project_id", born, {
            "project_id": pa.array(np.arange(count) + 1), "job_number": self.job_numbers, "name": name,
            "state": chosen(STATES, draw.integers(0, 12, count)), "is_active": pa.array(draw.random(count) < 0.7)})
        self._table("erp_jobs", "job_number", born, {
            "job_number": self.job_numbers, "name": name, "contract_amount": decimals(draw.integers(1_000_000_00, 90_000_000_00, count))})

    def _vendors(self):
        draw, ours, theirs = self.random, self._count(8000), self._count(10000)
        self.shared_vendors = shared = self._count(7600)
        # The ERP's vendors, and behind them those that only project management knows.
        all_count = theirs + ours - shared
        first, second = (draw.integers(0, len(FIRST), all_count) for _ in range(2))
        trade, form = draw.integers(0, len(TRADES), all_count), draw.integers(0, len(FORMS), all_count)
        has_second, city = draw.random(all_count) < 0.6, draw.integers(0, 12, all_count)
        postal = numbered("", draw.integers(10000, 99999, all_count), 5)
        phone = numbered("555-", draw.integers(0, 10**7, all_count), 7)
        street = joined(pa.array(draw.integers(1, 9999, all_count)).cast(pa.string()), chosen(FIRST, draw.integers(0, len(FIRST), all_count)), "St")
        self.vendor_codes = codes = numbered("V", np.arange(all_count), 6)

        def named(rows, forms):
            middle = pa.array(np.where(has_second[rows], np.array(FIRST, object)[second[rows]], ""), pa.string())
            name = joined(chosen(FIRST, first[rows]), middle, chosen(TRADES, trade[rows]), chosen(FORMS, forms))
            return pc.utf8_trim_whitespace(pc.replace_substring(name, "  ", " "))

        source = np.concatenate([np.arange(shared), np.arange(theirs, all_count)])
        same = named(source, form[source])
        swapped = pc.replace_substring_regex(same, "([A-Za-z])([a-z])([a-z]) ", r"\1\3\2 ", max_replacements=1)
        names = pa.chunked_array([same, named(source, (form[source] + 1) % len(FORMS)), swapped,
                                  joined(chosen(FIRST, second[source]), same)]).combine_chunks()
        lot = draw.random(ours)
        kind = np.select([lot < 0.03, lot < 0.05, lot < 0.07], [1, 2, 3], 0)
        renamed = np.where(kind > 0, draw.integers(1, LAST, ours), NEVER)
        healed = self._some(ours, 0.5, renamed + draw.integers(20, 400, ours))
        unlinked = (np.arange(ours) >= shared) | (draw.random(ours) < 0.04)
        moved = draw.random(ours) < 0.01
        born = self._born(ours, 0.8)
        take = pa.array(source)
        self._table("pm_vendors", "vendor_id", born, {
            "vendor_id": pa.array(np.arange(ours) + 1),
            "erp_code": pc.if_else(pa.array(unlinked), None, codes.take(take)),
            "name": lambda rows, day: names.take(pa.array(np.where((day >= renamed[rows]) & (day < healed[rows]), kind[rows], 0) * ours + rows)),
            "street": street.take(take), "city": chosen(CITIES, np.where(moved, (city[source] + 1) % 12, city[source])),
            "state": chosen(STATES, city[source]), "postal_code": postal.take(take), "phone": phone.take(take),
            "email": pc.binary_join_element_wise("ap", pa.array(np.arange(ours)).cast(pa.string()), "@vendor.example", ""),
            "trade": chosen(TRADES, trade[source]), "is_active": pa.array(np.ones(ours, bool)),
        }, self._some(ours, 0.01, born + draw.integers(100, 900, ours)), [renamed, healed])
        erp_born = self._born(theirs, 0.8)
        erp_born[:shared] = born[:shared] + draw.integers(0, 40, shared) * (born[:shared] > 0)
        closed = self._some(theirs, 0.015, erp_born + draw.integers(50, 1000, theirs))
        self._table("erp_vendors", "vendor_code", erp_born, {
            "vendor_code": codes[:theirs], "name": named(np.arange(theirs), form[:theirs]), "street": street[:theirs],
            "city": chosen(CITIES, city[:theirs]), "state": chosen(STATES, city[:theirs]), "postal_code": postal[:theirs],
            "phone": phone[:theirs], "terms": chosen(["Net 30", "Net 45", "Net 60"], draw.integers(0, 3, theirs)),
            "is_active": lambda rows, day: pa.array(day < closed[rows])}, None, [closed])

    def _cost_codes(self):
        draw, count = self.random, self._count(3000)
        self.codes = pc.binary_join_element_wise(numbered("", np.arange(count) % 49 + 1, 2), numbered("", np.arange(count) + 1000, 4), "-")
        kinds = chosen(["Labor", "Material", "Equipment", "Subcontract", "Other"], draw.integers(0, 5, count))
        title = joined(chosen(TRADES, draw.integers(0, len(TRADES), count)), kinds)
        both = pa.chunked_array([title, joined(title, "Misc")]).combine_chunks()
        lot = draw.random(count)
        renamed = np.where((lot >= 0.04) & (lot < 0.055), draw.integers(1, LAST, count), NEVER)
        self._table("pm_cost_codes", "code", np.where(lot < 0.02, NEVER, self._born(count, 0.9)), {
            "code": self.codes, "description": lambda rows, day: both.take(pa.array(np.where(day >= renamed[rows], count, 0) + rows)),
            "division": pa.array(np.arange(count) % 49 + 1)}, None, [renamed])
        self._table("erp_cost_codes", "code", np.where((lot >= 0.02) & (lot < 0.04), NEVER, self._born(count, 0.9)), {
            "code": self.codes, "description": title, "cost_type": chosen(list("LMESO"), draw.integers(0, 5, count))})
        self.project_codes = draw.integers(0, count, (self.projects, CODES_OF_PROJECT))
        lines = self._count(15000)
        project, place = np.arange(lines) % self.projects, (np.arange(lines) // self.projects) % CODES_OF_PROJECT
        self._table("pm_budget_lines", "line_id", self._born(lines, 0.6), {
            "line_id": pa.array(np.arange(lines) + 1), "project_id": pa.array(project + 1),
            "cost_code": self.codes.take(pa.array(self.project_codes[project, place])),
            "amount": decimals(draw.integers(5_000_00, 900_000_00, lines))})

    def _commitments(self):
        draw, count = self.random, self._count(12000)
        self.commitment_projects = project = draw.integers(0, self.projects, count)
        self.commitment_vendors = vendor = draw.integers(0, self.shared_vendors, count)
        self.commitment_born = born = self._born(count, 0.4)
        signed = born + draw.integers(1, 60, count)
        number = numbered("SC-", np.arange(count) + 1, 7)
        self._table("pm_commitments", "commitment_id", born, {
            "commitment_id": pa.array(np.arange(count) + 1), "project_id": pa.array(project + 1), "vendor_id": pa.array(vendor + 1),
            "number": number, "title": joined(chosen(TRADES, draw.integers(0, len(TRADES), count)), "package"),
            "kind": chosen(["SUB", "PO"], draw.integers(0, 2, count)),
            "status": lambda rows, day: chosen(["draft", "executed", "closed"], (day >= signed[rows]) * 1 + (day >= signed[rows] + 500) * 1),
            "executed_date": dates(signed), "original_amount": decimals(draw.integers(10_000_00, 2_000_000_00, count))},
            None, [signed, signed + 500])
        lines = self._count(60000)
        of = draw.integers(0, count, lines)
        self._table("pm_commitment_lines", "line_id", born[of], {
            "line_id": pa.array(np.arange(lines) + 1), "commitment_id": pa.array(of + 1),
            "cost_code": self.codes.take(pa.array(self.project_codes[project[of], draw.integers(0, CODES_OF_PROJECT, lines)])),
            "description": joined(chosen(TRADES, draw.integers(0, len(TRADES), lines)), "line", numbered("", draw.integers(0, 20, lines), 2)),
            "quantity": decimals(draw.integers(100, 100000, lines)), "unit_cost": decimals(draw.integers(100, 500000, lines)),
            "amount": decimals(draw.integers(1_000_00, 300_000_00, lines))})
        orders = self._count(20000)
        of = draw.integers(0, count, orders)
        born = np.maximum(self._born(orders, 0.35), born[of])
        approved = self._some(orders, 0.8, born + draw.integers(3, 60, orders))
        lot = draw.random(orders)
        posted = approved + np.select([lot < 0.85, lot < 0.95], [draw.integers(1, 8, orders), draw.integers(15, 120, orders)], NEVER)
        number = pc.binary_join_element_wise(number.take(pa.array(of)), numbered("CO-", np.arange(orders) + 1, 6), "-")
        amount = decimals(draw.integers(-20_000_00, 150_000_00, orders))
        self._table("pm_change_orders", "change_order_id", born, {
            "change_order_id": pa.array(np.arange(orders) + 1), "commitment_id": pa.array(of + 1), "project_id": pa.array(project[of] + 1),
            "number": number, "title": joined(chosen(TRADES, draw.integers(0, len(TRADES), orders)), "change"),
            "status": lambda rows, day: chosen(["pending", "approved"], (day >= approved[rows]) * 1),
            "approved_date": lambda rows, day: dates(approved[rows], day < approved[rows]), "amount": amount}, None, [approved])
        self._table("erp_change_orders", "number", posted, {
            "number": number, "job_number": self.job_numbers.take(pa.array(project[of])), "amount": amount,
            "posted_date": dates(posted), "batch": numbered("B", np.arange(orders) // 40, 6)})

    def _vendor_invoices(self):
        draw, count = self.random, self._count(120000)
        of = draw.integers(0, len(self.commitment_born), count)
        project, vendor = self.commitment_projects[of], self.commitment_vendors[of]
        born = np.maximum(self._born(count, 0.4), self.commitment_born[of])
        billed = born - np.where(born == 0, draw.integers(0, 400, count), 0)
        gross = draw.integers(500_00, 400_000_00, count)
        retained = gross // 10
        net = gross - retained
        lot = draw.random(count)
        gap = np.where(lot < 0.02, born + draw.integers(0, 60, count), NEVER)
        healed = self._some(count, 0.6, gap + draw.integers(30, 400, count))
        difference = draw.integers(-5_000_00, 5_000_00, count)
        received = np.where((lot > 0.02) & (lot < 0.03), NEVER, born + draw.integers(0, 10, count))
        paid = np.where(received == NEVER, NEVER, self._some(count, 0.93, np.maximum(received, born) + draw.integers(15, 75, count)))
        lot = draw.random(count)
        told = np.select([lot < 0.93, lot < 0.98], [paid + draw.integers(0, 6, count), paid + draw.integers(40, 300, count)], NEVER)
        told, approved = np.minimum(told, NEVER), born + draw.integers(0, 8, count)
        number = numbered("INV-", np.arange(count) + 1, 8)
        jobs, codes = self.job_numbers.take(pa.array(project)), self.vendor_codes.take(pa.array(vendor))
        self._table("pm_sub_invoices", "invoice_id", born, {
            "invoice_id": pa.array(np.arange(count) + 1), "commitment_id": pa.array(of + 1), "project_id": pa.array(project + 1),
            "vendor_id": pa.array(vendor + 1), "number": number, "billing_date": dates(billed), "due_date": dates(billed + 30),
            "status": lambda rows, day: chosen(["draft", "approved", "paid"], np.where(day >= told[rows], 2, (day >= approved[rows]) * 1)),
            "gross_amount": decimals(gross), "retainage": decimals(retained),
            "net_amount": lambda rows, day: decimals(net[rows] + np.where((day >= gap[rows]) & (day < healed[rows]), difference[rows], 0))},
            None, [gap, healed, told, approved])
        self._table("erp_ap_invoices", "ap_id", received, {
            "ap_id": pa.array(np.arange(count) + 500000), "vendor_code": codes, "job_number": jobs, "invoice_number": number,
            "invoice_date": dates(billed), "due_date": dates(billed + 30), "amount": decimals(net), "retainage": decimals(retained),
            "paid_amount": lambda rows, day: decimals(np.where(day >= paid[rows], net[rows], 0)),
            "paid_date": lambda rows, day: dates(paid[rows], day < paid[rows])}, None, [paid])
        in_two = np.nonzero(draw.random(count) < 0.25)[0]
        part = np.zeros(count, np.int64)
        part[in_two] = 1
        of, part = np.concatenate([np.arange(count), in_two]), np.concatenate([part, np.full(len(in_two), 2)])
        amount = decimals(np.select([part == 0, part == 1], [net[of], net[of] // 2], net[of] - net[of] // 2))
        method = chosen(["CHK", "ACH", "WIRE"], draw.integers(0, 3, len(of)))
        reference = numbered("", draw.permutation(len(of)) + 10_000_000, 8)
        key, take = pa.array(np.arange(len(of)) + 1), pa.array(of)
        self._table("erp_payments", "payment_id", paid[of], {
            "payment_id": key, "invoice_number": number.take(take), "vendor_code": codes.take(take), "amount": amount,
            "payment_date": dates(paid[of]), "method": method, "reference": reference})
        self._table("pm_payments", "payment_id", told[of], {
            "payment_id": key, "invoice_id": pa.array(of + 1), "project_id": pa.array(project[of] + 1), "amount": amount,
            "paid_on": dates(told[of]), "method": method, "reference": reference})

    def _owner_invoices(self):
        draw, count = self.random, self._count(10000)
        project, born = draw.integers(0, self.projects, count), self._born(count, 0.4)
        billed = born - np.where(born == 0, draw.integers(0, 400, count), 0)
        amount, lot = draw.integers(50_000_00, 5_000_000_00, count), draw.random(count)
        gap = np.where(lot < 0.025, born + draw.integers(1, 90, count), NEVER)
        healed = self._some(count, 0.5, gap + draw.integers(30, 300, count))
        difference = draw.integers(-90_000_00, 90_000_00, count)
        number = numbered("OI-", np.arange(count) + 1, 7)
        self._table("pm_owner_invoices", "invoice_id", born, {
            "invoice_id": pa.array(np.arange(count) + 1), "project_id": pa.array(project + 1), "number": number,
            "billing_date": dates(billed), "due_date": dates(billed + 45),
            "amount": lambda rows, day: decimals(amount[rows] + np.where((day >= gap[rows]) & (day < healed[rows]), difference[rows], 0))},
            None, [gap, healed])
        posted = np.where((lot > 0.025) & (lot < 0.035), NEVER, born + draw.integers(0, 10, count))
        self._table("erp_ar_invoices", "ar_id", posted, {
            "ar_id": pa.array(np.arange(count) + 1), "job_number": self.job_numbers.take(pa.array(project)), "invoice_number": number,
            "invoice_date": dates(billed), "due_date": dates(billed + 45), "amount": decimals(amount)})

    def _job_cost(self):
        draw, count = self.random, self._count(1_000_000)
        project, place = draw.integers(0, self.projects, count), draw.integers(0, CODES_OF_PROJECT, count)
        born = np.sort(self._born(count, 0.4))
        costed = born - np.where(born == 0, draw.integers(0, 400, count), draw.integers(0, 10, count))
        code = self.project_codes[project, place]
        codes = pa.chunked_array([self.codes, pa.array([DEFAULT_CODE])]).combine_chunks()
        uncoded = draw.random(count) < 0.02
        recoded = np.where(uncoded, self._some(count, 0.6, born + draw.integers(20, 300, count)), 0)
        words = [f"{trade} {what} wk{week}" for trade in TRADES for what in ("labor", "material", "rental", "subcontract") for week in range(52)]
        self._table("erp_job_cost", "transaction_id", born, {
            "transaction_id": pa.array(np.arange(count) + 1), "job_number": self.job_numbers.take(pa.array(project)),
            "cost_code": lambda rows, day: codes.take(pa.array(np.where(day < recoded[rows], len(codes) - 1, code[rows]))),
            "cost_type": chosen(list("LMESO"), draw.integers(0, 5, count)), "transaction_date": dates(costed), "posted_date": dates(born),
            "amount": decimals(draw.integers(-2_000_00, 60_000_00, count)),
            "origin": chosen(["AP", "PR", "GL", "EQ", "IN"], draw.integers(0, 5, count)),
            "vendor_code": self.vendor_codes.take(pa.array(draw.integers(0, self.shared_vendors, count))),
            "document": numbered("D", draw.integers(0, 10**7, count), 8), "description": chosen(words, draw.integers(0, len(words), count)),
            "batch": numbered("B", np.arange(count) // 250, 7)},
            self._some(count, 0.003, born + draw.integers(1, 200, count)), [recoded])

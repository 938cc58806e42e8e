"""What is asked: one text for all engines. Tables have no schema: each engine looks for them where the day's rows are."""
import datetime as dt

PAST = dt.date(2024, 6, 30)

# Questions of a controller at the end of a month; each row is something that does not agree, `amount` what it is about.
CHECKS = {
    "vendors": """
        select coalesce(p.erp_code, e.vendor_code) as code, p.vendor_id, p.name as pm_name, e.name as erp_name,
            case when e.vendor_code is null then 'missing in erp' when p.vendor_id is null then 'missing in pm'
                when lower(p.name) <> lower(e.name) then 'name'
                when p.city <> e.city or p.postal_code <> e.postal_code or p.state <> e.state then 'address' else 'status' end as kind,
            cast(coalesce(p.vendor_id, 0) as decimal(18,2)) as amount
        from pm_vendors p full outer join erp_vendors e on p.erp_code = e.vendor_code
        where e.vendor_code is null or p.vendor_id is null or lower(p.name) <> lower(e.name) or p.city <> e.city
            or p.postal_code <> e.postal_code or p.state <> e.state or p.is_active <> e.is_active""",
    "cost_codes": """
        with codes as (
            select coalesce(p.code, e.code) as code,
                case when e.code is null then 'missing in erp' when p.code is null then 'missing in pm' else 'description' end as kind
            from pm_cost_codes p full outer join erp_cost_codes e on p.code = e.code
            where e.code is null or p.code is null or lower(p.description) <> lower(e.description)),
        used as (select cost_code, count(*) as n, sum(amount) as amount from erp_job_cost group by cost_code),
        uncoded as (
            select job_number, count(*) as n, sum(amount) as amount from erp_job_cost where cost_code = '00-0000' group by job_number)
        select codes.kind as kind, codes.code as code, coalesce(used.n, 0) as n, coalesce(used.amount, 0) as amount
        from codes left join used on used.cost_code = codes.code
        union all select 'default code' as kind, job_number as code, n, amount from uncoded""",
    "change_orders": """
        select c.change_order_id, c.number, c.project_id, c.amount as amount, c.approved_date
        from pm_change_orders c left join erp_change_orders e on e.number = c.number
        where c.status = 'approved' and c.approved_date > date '{before30}' and e.number is null""",
    "invoices": """
        select 'AP' as side, coalesce(p.number, e.invoice_number) as number, coalesce(p.net_amount, 0) - coalesce(e.amount, 0) as amount,
            {bucket} as bucket
        from pm_sub_invoices p full outer join erp_ap_invoices e on p.number = e.invoice_number
        where coalesce(p.status, '-') <> 'draft' and coalesce(p.net_amount, 0) <> coalesce(e.amount, 0)
        union all
        select 'AR' as side, coalesce(p.number, e.invoice_number) as number, coalesce(p.amount, 0) - coalesce(e.amount, 0) as amount,
            {bucket} as bucket
        from pm_owner_invoices p full outer join erp_ar_invoices e on p.number = e.invoice_number
        where coalesce(p.amount, 0) <> coalesce(e.amount, 0)""",
    "payments": """
        with paid as (
            select invoice_number, sum(amount) as paid, max(payment_date) as last_paid from erp_payments group by invoice_number)
        select p.invoice_id, p.number, p.vendor_id, p.net_amount as amount, paid.paid as paid, paid.last_paid as last_paid
        from paid join pm_sub_invoices p on p.number = paid.invoice_number
        where p.status <> 'paid' and paid.last_paid < date '{before60}'""",
}
BUCKET = """case when coalesce(p.due_date, e.due_date) >= date '{day}' then 'current'
                when coalesce(p.due_date, e.due_date) >= date '{before30}' then '1-30'
                when coalesce(p.due_date, e.due_date) >= date '{before60}' then '31-60'
                when coalesce(p.due_date, e.due_date) >= date '{before90}' then '61-90' else '90+' end"""

# The tables that the checks read; the trend needs no others.
CHECKED = ["pm_vendors", "erp_vendors", "pm_cost_codes", "erp_cost_codes", "pm_change_orders", "erp_change_orders", "pm_sub_invoices",
           "erp_ap_invoices", "erp_payments", "pm_owner_invoices", "erp_ar_invoices", "erp_job_cost"]

JOB_COST = """
    with spent as (
        select p.project_id, t.cost_code, cast(date_trunc('month', t.transaction_date) as date) as month, sum(t.amount) as actual,
            cast(0 as decimal(18,2)) as committed
        from erp_job_cost t join pm_projects p on p.job_number = t.job_number
        group by p.project_id, t.cost_code, cast(date_trunc('month', t.transaction_date) as date)),
    promised as (
        select c.project_id, l.cost_code, cast(date_trunc('month', c.executed_date) as date) as month, cast(0 as decimal(18,2)) as actual,
            sum(l.amount) as committed
        from pm_commitment_lines l join pm_commitments c on c.commitment_id = l.commitment_id
        where c.status <> 'draft' group by c.project_id, l.cost_code, cast(date_trunc('month', c.executed_date) as date)),
    months as (
        select project_id, cost_code, month, sum(actual) as actual, sum(committed) as committed
        from (select * from spent union all select * from promised) as both_sides group by project_id, cost_code, month),
    budgets as (select project_id, cost_code, sum(amount) as budget from pm_budget_lines group by project_id, cost_code),
    totals as (select project_id, cost_code, sum(actual) as actual from months group by project_id, cost_code)
    select months.project_id, months.cost_code, months.month, months.actual, months.committed, coalesce(budgets.budget, 0) as budget,
        coalesce(budgets.budget, 0) - totals.actual as remaining
    from months
    join totals on totals.project_id = months.project_id and totals.cost_code = months.cost_code
    left join budgets on budgets.project_id = months.project_id and budgets.cost_code = months.cost_code
    order by remaining, months.project_id, months.cost_code, months.month limit 1000"""
# Without order and limit: how answers are compared, row for row.
JOB_COST_WHOLE = JOB_COST[:JOB_COST.rindex("order by")]

EXPORT = """select transaction_id, job_number, cost_code, cost_type, transaction_date, posted_date, amount, origin, vendor_code, document,
    description, batch, updated_at from erp_job_cost"""

NAME = r"trim(regexp_replace(regexp_replace(lower(name), '[^a-z0-9 ]', '', 'g'), ' (inc|llc|corp|co|ltd|company|group)$', ''))"
# The best namesake of each vendor among those that begin alike.
MATCH = f"""
    with p as (select vendor_id, {NAME} as name from pm_vendors), e as (select vendor_code, {NAME} as name from erp_vendors),
    scored as (
        select p.vendor_id, e.vendor_code, jaro_winkler_similarity(p.name, e.name) as score
        from p join e on substr(p.name, 1, 4) = substr(e.name, 1, 4)),
    placed as (
        select vendor_id, vendor_code, row_number() over (partition by vendor_id order by score desc, vendor_code) as place
        from scored where score >= 0.92)
    select vendor_id, vendor_code from placed where place = 1"""

# Small statements for pgbench, as a report asks them when somebody clicks.
SMALL = {
    "vendor by key": "\\set id random(1, {vendors})\nselect vendor_id, name, city from pm_vendors where vendor_id = :id;\n",
    "budget of a project": "\\set id random(1, {projects})\n"
                           "select count(*), sum(amount) from pm_budget_lines where project_id = :id;\n",
    "invoices of a project": "\\set id random(1, {projects})\n"
                             "select number, due_date, net_amount from pm_sub_invoices where project_id = :id order by number limit 50;\n",
}


def check(name, day):
    """The statement of a check as of a day."""
    text = CHECKS[name].replace("{bucket}", BUCKET)
    for word, days in (("{day}", 0), ("{before30}", 30), ("{before60}", 60), ("{before90}", 90)):
        text = text.replace(word, str(day - dt.timedelta(days)))
    return text


def measure(name, day):
    """How many rows a check has as of a day, and their amount: a point of the trend."""
    return f"select count(*) as n, coalesce(sum(amount), 0) as amount from ({check(name, day)}) as found"

# What tieout has worked out when a day was committed: each statement, and the day that it is asked of.
STORED = {
    "W1 stored: summary of the checks": ("select check_id, title, verdict, open_count, amount_at_risk from recon.summary", None),
    "W1 stored: all exceptions": ("select check_id, exception_key, label, amount_at_risk from recon.exceptions", None),
    "W2 stored: summary as of 2024-06-30": ("select check_id, title, verdict, open_count, amount_at_risk from recon.summary", PAST),
    "W2 stored: all exceptions as of 2024-06-30": ("select check_id, exception_key, label, amount_at_risk from recon.exceptions", PAST),
    "W3 stored: trend": ("select * from trend.exceptions_by_month", None),
}

# How many rows a check of tieout's own must find, asked of the raw rows: missing and differing documents are what both define alike.
# An invoice whose vendor is not on both sides has no counterpart for the check, whatever its number: those are left out.
LINKED = "invoice_id in (select i.invoice_id from pm_sub_invoices i join pm_vendors v on v.vendor_id = i.vendor_id " \
         "join erp_vendors w on w.vendor_code = v.erp_code)"
FOUND = {
    "I1": ("from pm_owner_invoices p left join erp_ar_invoices e on e.invoice_number = p.number where e.invoice_number is null", None),
    "I2": ("from pm_sub_invoices p left join erp_ap_invoices e on e.invoice_number = p.number "
           f"where e.invoice_number is null and p.status <> 'draft' and p.{LINKED}", "pm_sub_invoices"),
    "I4": ("from pm_sub_invoices p join erp_ap_invoices e on e.invoice_number = p.number "
           f"where p.net_amount <> e.amount and p.{LINKED}", "pm_sub_invoices"),
    "O1": ("from pm_change_orders p left join erp_change_orders e on e.number = p.number "
           "where e.number is null and p.status = 'approved'", None),
    "C4": ("from erp_job_cost where cost_code = '00-0000'", None),
}

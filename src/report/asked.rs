//! What a report asks of the views.

use std::collections::BTreeSet;

use anyhow::Result;
use chrono_tz::Tz;
use datafusion::prelude::SessionContext;

use super::values::{day, moment, rows};
use super::{Age, Check, Exception, Latency, MONTHS, Month, Move, Source, Waived, whole};

pub(super) async fn sources(session: &SessionContext, zone: Tz) -> Result<Vec<Source>> {
    let sql = "select source, date_trunc('second', min(oldest_complete_at)), max(hours_old) from meta.freshness group by source order by 1";
    let source = |[name, oldest, hours]: [String; 3]| Source { name, oldest: moment(&oldest, zone), hours };
    Ok(rows::<3>(session, sql).await?.into_iter().map(source).collect())
}

pub(super) async fn checks(session: &SessionContext) -> Result<Vec<Check>> {
    let sql = "select summary.check_id, summary.view_name, summary.title, checks.question, checks.fix, summary.verdict, runs.reason, \
               summary.open_count, summary.in_flight_count, summary.waived_count, summary.amount_at_risk, coalesce(summary.currency, setting_text('currency')), \
               summary.oldest_age_days, summary.change_since_last_month from recon.summary as summary \
               left join recon.check_runs as runs on runs.check_id = summary.check_id and runs.is_latest and runs.project_id is null \
               left join meta.checks as checks on checks.check_id = summary.check_id order by 1";
    let check = |row: [String; 14]| {
        let [
            id,
            view,
            title,
            question,
            fix,
            verdict,
            reason,
            open,
            in_flight,
            waived,
            amount,
            currency,
            oldest_days,
            change,
        ] = row;
        Check {
            id,
            view,
            title,
            question,
            fix,
            verdict,
            reason,
            open,
            in_flight,
            waived,
            amount,
            currency,
            oldest_days,
            change,
        }
    };
    Ok(rows::<14>(session, sql).await?.into_iter().map(check).collect())
}

pub(super) async fn open(session: &SessionContext, zone: Tz) -> Result<Vec<Exception>> {
    let sql = "with people as (select check_id, exception_key, max(moved_by) as moved_by from recon.exception_attribution \
               group by check_id, exception_key) \
               select e.check_id, e.exception_key, e.severity, e.amount_at_risk, coalesce(e.currency, setting_text('currency')), e.age_days, e.fix_side, \
               coalesce(e.project_number, e.project_id), e.label, e.detail, e.pm_value, e.erp_value, e.cause, e.explained_by, \
               date_trunc('second', e.first_seen_at), people.moved_by \
               from recon.exceptions as e left join people on people.check_id = e.check_id and people.exception_key = e.exception_key \
               where e.state = 'open' order by e.amount_at_risk desc nulls last, e.age_days desc, e.check_id, e.exception_key";
    let exception = |row: [String; 16]| {
        let [
            check,
            key,
            severity,
            amount,
            currency,
            age_days,
            fix_side,
            project,
            label,
            detail,
            pm_value,
            erp_value,
            cause,
            explained_by,
            seen,
            moved_by,
        ] = row;
        let first_seen = day(&seen, zone);
        Exception {
            check,
            key,
            severity,
            amount,
            currency,
            age_days,
            fix_side,
            project,
            label,
            detail,
            pm_value,
            erp_value,
            cause,
            explained_by,
            first_seen,
            moved_by,
        }
    };
    Ok(rows::<16>(session, sql).await?.into_iter().map(exception).collect())
}

pub(super) async fn waived(session: &SessionContext) -> Result<Vec<Waived>> {
    let sql = "select w.check_id, w.label, w.amount_at_risk, coalesce(w.currency, setting_text('currency')), w.reason, w.waived_by, w.until_date \
               from recon.waivers as w inner join recon.exceptions as e on e.check_id = w.check_id and e.exception_key = w.exception_key \
               where e.state = 'waived' and w.ended_at is null order by w.until_date nulls last, w.check_id, w.exception_key";
    let one = |[check, label, amount, currency, reason, by, until]: [String; 7]| Waived {
        check,
        label,
        amount,
        currency,
        reason,
        by,
        until,
    };
    Ok(rows::<7>(session, sql).await?.into_iter().map(one).collect())
}

pub(super) async fn moves(session: &SessionContext, zone: Tz, at: &str, within: &str) -> Result<Vec<Move>> {
    let days = if at == "closed_at" { "days_open" } else { "null" };
    let sql = format!(
        "select check_id, label, project_number, fix_side, last_amount, coalesce(currency, setting_text('currency')), date_trunc('second', {at}), {days}, is_reopened \
         from recon.exception_history where {within} order by last_amount desc nulls last, check_id, exception_key"
    );
    let one = |row: [String; 9]| {
        let [check, label, project, fix_side, amount, currency, moment, days, is_reopened] = row;
        let (at, is_reopened) = (day(&moment, zone), is_reopened == "true");
        Move { check, label, project, fix_side, amount, currency, at, days, is_reopened }
    };
    Ok(rows::<9>(session, &sql).await?.into_iter().map(one).collect())
}

pub(super) async fn months_until(session: &SessionContext, month: &str) -> Result<Vec<Month>> {
    let sql = format!(
        "select month, cast(sum(open_count) as bigint), case when min(currency) = max(currency) then sum(amount_at_risk) end, \
         cast(sum(opened_count + reopened_count) as bigint), cast(sum(closed_count) as bigint), \
         cast(count(*) filter (where verdict in ('partial', 'not_evaluated')) as bigint) \
         from trend.exceptions_by_month where month <= '{month}' group by month order by month"
    );
    let mut found: Vec<Month> = rows::<6>(session, &sql)
        .await?
        .into_iter()
        .map(|[first_day, open, amount, opened, closed, silent]| Month {
            first_day,
            open: open.parse().ok(),
            amount: whole(&amount),
            opened: opened.parse().ok(),
            closed: closed.parse().ok(),
            silent: silent.parse().unwrap_or(0),
        })
        .collect();
    found.drain(..found.len().saturating_sub(MONTHS));
    Ok(found)
}

pub(super) async fn ages(session: &SessionContext, month: &str) -> Result<Vec<Age>> {
    let sql = format!(
        "select bucket, cast(sum(open_count) as bigint), sum(amount_at_risk) from trend.exception_ages \
         where month = '{month}' group by bucket, position order by position"
    );
    let age = |[bucket, open, amount]: [String; 3]| Age { bucket, open: open.parse().ok(), amount };
    Ok(rows::<3>(session, &sql).await?.into_iter().map(age).collect())
}

pub(super) async fn latencies(session: &SessionContext, month: &str) -> Result<Vec<Latency>> {
    let sql = format!(
        "select month, entity, arrived_count, p50_hours, p90_hours from trend.sync_latency \
         where month <= '{month}' and month > date '{month}' - interval '13 months' order by month, entity"
    );
    let one = |[month, entity, arrived, median, p90]: [String; 5]| Latency {
        month,
        entity,
        arrived,
        median_hours: median.parse().ok(),
        p90_hours: p90.parse().ok(),
    };
    let mut found: Vec<Latency> = rows::<5>(session, &sql).await?.into_iter().map(one).collect();
    // Entities of which none ever crossed over have nothing to show.
    let crossed: BTreeSet<String> =
        found.iter().filter(|one| one.median_hours.is_some()).map(|one| one.entity.clone()).collect();
    found.retain(|one| crossed.contains(&one.entity));
    Ok(found)
}

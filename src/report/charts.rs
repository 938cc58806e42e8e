//! Charts as SVG, small enough to stand in a page, without a font or a picture of their own.
//!
//! Values are whole numbers: counts, units of a currency, hours. A place without a value is grey from top to bottom, because a
//! bar of no height would say "none".

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::{IntoSegmentedCoord as _, SegmentValue};
use plotters::prelude::{
    BLACK, ChartBuilder, Color as _, DrawingAreaErrorKind, IntoDrawingArea as _, LineSeries, RGBColor, Rectangle,
    SVGBackend,
};

use super::values::grouped;

const SIZE: (u32, u32) = (720, 240);
const BAR: RGBColor = RGBColor(0x1f, 0x5f, 0x99);
const OTHER: RGBColor = RGBColor(0xb3, 0x5c, 0x00);
const UNKNOWN: RGBColor = RGBColor(0xdd, 0xdd, 0xdd);

/// A bar for each label.
///
/// # Errors
/// What the drawing says.
pub(crate) fn bars(labels: &[String], values: &[Option<i64>]) -> Result<String> {
    draw(labels, &[values], |chart, top| {
        for (place, value) in values.iter().enumerate() {
            let (height, colour) = value.map_or((top, UNKNOWN), |value| (value, BAR));
            let corners = [(SegmentValue::Exact(place), 0), (SegmentValue::Exact(place + 1), height)];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(0, 0, 2, 2);
            chart.draw_series([bar])?;
        }
        Ok(())
    })
}

/// Two lines over the same labels, the first one stronger.
///
/// # Errors
/// What the drawing says.
pub(crate) fn lines(labels: &[String], first: &[Option<i64>], second: &[Option<i64>]) -> Result<String> {
    draw(labels, &[first, second], |chart, _| {
        for (values, style) in [(first, BAR.stroke_width(3)), (second, OTHER.stroke_width(1))] {
            // Where a value is missing the line ends, and another one begins.
            let places: Vec<(usize, Option<i64>)> = values.iter().copied().enumerate().collect();
            for piece in places.split(|(_, value)| value.is_none()) {
                let points =
                    piece.iter().filter_map(|(place, value)| Some((SegmentValue::CenterOf(*place), (*value)?)));
                chart.draw_series(LineSeries::new(points, style).point_size(3))?;
            }
        }
        Ok(())
    })
}

type Chart<'a, 'b> = plotters::chart::ChartContext<
    'a,
    SVGBackend<'b>,
    plotters::coord::cartesian::Cartesian2d<
        plotters::coord::ranged1d::SegmentedCoord<plotters::coord::types::RangedCoordusize>,
        plotters::coord::types::RangedCoordi64,
    >,
>;
type DrawingResult = Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(
    labels: &[String],
    series: &[&[Option<i64>]],
    shapes: impl FnOnce(&mut Chart<'_, '_>, i64) -> DrawingResult,
) -> Result<String> {
    let top = series.iter().copied().flatten().flatten().copied().max().unwrap_or(0).max(1);
    let mut text = String::new();
    let drawing = || -> DrawingResult {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .x_label_area_size(28)
            .y_label_area_size(84)
            .build_cartesian_2d((0..labels.len().saturating_sub(1)).into_segmented(), 0..top + (top / 20).max(1))?;
        let label = |place: &SegmentValue<usize>| match place {
            SegmentValue::CenterOf(place) | SegmentValue::Exact(place) => {
                labels.get(*place).cloned().unwrap_or_default()
            }
            SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(labels.len().clamp(1, 13))
            .y_labels(5)
            .x_label_formatter(&label)
            .y_label_formatter(&|value| grouped(&value.to_string()))
            .axis_style(BLACK.mix(0.4))
            .light_line_style(BLACK.mix(0.0))
            .bold_line_style(BLACK.mix(0.12))
            .draw()?;
        shapes(&mut chart, top)?;
        area.present()
    };
    drawing().map_err(|error| anyhow!("draw a chart: {error}"))?;
    Ok(within_page(&text))
}

/// The drawing as a part of a page: it is as wide as its place, and says nothing to a screen reader, for whom a table stands
/// beside it.
fn within_page(svg: &str) -> String {
    let (width, height) = SIZE;
    let sized = format!("<svg width=\"{width}\" height=\"{height}\" ");
    let placed = svg.replacen(&sized, "<svg aria-hidden=\"true\" focusable=\"false\" ", 1);
    // A page knows what an SVG is; without the name of it nothing in the page looks like an address.
    placed.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_grey_and_no_bar() {
        let labels = ["2026-01", "2026-02", "2026-03"].map(str::to_owned);
        let svg = bars(&labels, &[Some(4), None, Some(0)]).unwrap();
        assert_eq!(svg.matches("#DDDDDD").count(), 1, "{svg}");
        assert_eq!(svg.matches("fill=\"#1F5F99\"").count(), 2, "{svg}");
        assert!(svg.starts_with("<svg aria-hidden=\"true\"") && svg.contains("2026-02"), "{svg}");
        assert!(svg.contains("viewBox=\"0 0 720 240\""), "{svg}");
    }

    #[test]
    fn a_line_ends_where_nothing_is_known() {
        let labels = ["a", "b", "c", "d"].map(str::to_owned);
        let svg = lines(&labels, &[Some(1), Some(2), None, Some(3)], &[None; 4]).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        assert_eq!(bars(&[], &[]).unwrap().matches("<svg").count(), 1);
    }
}

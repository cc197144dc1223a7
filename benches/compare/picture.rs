//! The comparison as a picture: what the others cost, in multiples of gorust, a bar a row. `docs/benchmarks.svg`.

use crate::{figures::Table, run::Run};
use gorust_benches::catalog::{Group, LOADS};
use plotters::{
    coord::Shift,
    prelude::{
        Circle, Color, DrawingArea, IntoDrawingArea, IntoFont, PathElement, Polygon, RGBColor, Rectangle,
        SVGBackend, Text, TriangleMarker,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

// Every colour is as far from white as from a dark page: the picture has no background of its own.
const INK: RGBColor = RGBColor(0x7c, 0x80, 0x86);
const AHEAD: RGBColor = RGBColor(0x3f, 0x9b, 0x6b);
const BEHIND: RGBColor = RGBColor(0xd0, 0x7a, 0x2c);
const TOKIO: RGBColor = RGBColor(0x3b, 0x82, 0xd6);
const SMOL: RGBColor = RGBColor(0xb0, 0x60, 0xc8);
const GO: RGBColor = RGBColor(0x12, 0x9c, 0xa6);

const WIDTH: i32 = 1_060;
/// Titles end here, and the scale begins.
const LEFT: i32 = 490;
/// The scale ends here, and the bars' figures follow.
const RIGHT: i32 = 990;
const TOP: i32 = 112;
const ROW: i32 = 19;
const HEADING: i32 = 32;
const BAR: i32 = 6;

// Of text. What plotters writes into the file is smaller by a quarter.
const TITLE: i32 = 24;
const SUBTITLE: i32 = 19;
const SMALL: i32 = 16;

/// One row: ratios of costs, the other's to gorust's; above 1, gorust is ahead.
#[derive(Debug, PartialEq)]
struct Bar {
    group: Group,
    title: String,
    /// The best other peer.
    best: f64,
    /// Who has a mark of its own.
    marks: Vec<(&'static str, f64)>,
}

fn bars(run: &Run) -> Vec<Bar> {
    let bar = |table: Table| {
        let own = table.line("gorust")?;
        let best = table.of_best_other(own)?;
        let ratio = |peer: &'static str| Some((peer, table.of(table.line(peer)?, own)));
        Some(Bar {
            group: table.load.group,
            title: table.load.title.replace('`', ""),
            best: 1.0 / best,
            marks: ["tokio", "smol", "go"].into_iter().filter_map(ratio).collect(),
        })
    };
    LOADS.iter().filter_map(|load| bar(Table::new(load, run))).collect()
}

/// A scale of powers of two, wide enough for all ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    low: i32,
    high: i32,
}

impl Scale {
    fn of(bars: &[Bar]) -> Self {
        let ratios = || bars.iter().flat_map(|bar| bar.marks.iter().map(|mark| mark.1).chain([bar.best]));
        let low = ratios().fold(0.5, f64::min);
        let high = ratios().fold(4.0, f64::max);
        Self { low: low.log2().floor() as i32, high: high.log2().ceil() as i32 }
    }

    /// Where a ratio is, in pixels.
    fn x(self, ratio: f64) -> i32 {
        let part = (ratio.log2() - f64::from(self.low)) / f64::from(self.high - self.low);
        LEFT + (part * f64::from(RIGHT - LEFT)).round() as i32
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// The whole picture.
pub(crate) fn svg(run: &Run) -> Result<String, String> {
    let bars = bars(run);
    if bars.is_empty() {
        return Err("no row has both gorust and somebody else: there is nothing to draw".to_owned());
    }
    let headings = Group::ALL.iter().filter(|group| bars.iter().any(|bar| bar.group == **group)).count();
    let height = TOP + headings as i32 * HEADING + bars.len() as i32 * ROW + 12;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH as u32, height as u32)).into_drawing_area();
        draw(&area, run, &bars, height).map_err(|error| error.to_string())?;
    }
    Ok(text)
}

fn draw(area: &Area, run: &Run, bars: &[Bar], height: i32) -> Result<(), Box<dyn std::error::Error>> {
    let scale = Scale::of(bars);
    let machine = &run.machine;
    write(area, (12, 20), HPos::Left, TITLE, "What the others cost, in multiples of gorust")?;
    let made = format!(
        "{}, {} CPUs, {}; {} workers, medians of {} rounds; {}",
        machine.processor, machine.cpus, machine.kernel, run.workers, run.rounds, machine.date
    );
    write(area, (12, 44), HPos::Left, SMALL, &made)?;
    legend(area, bars)?;
    for power in scale.low..=scale.high {
        let ratio = f64::from(power).exp2();
        let x = scale.x(ratio);
        let style = if power == 0 { INK.stroke_width(2) } else { INK.mix(0.25).stroke_width(1) };
        area.draw(&PathElement::new(vec![(x, TOP), (x, height - 8)], style))?;
        write(area, (x, TOP - 10), HPos::Center, SMALL, &ratio.to_string())?;
    }
    let mut y = TOP;
    let mut group = None;
    for bar in bars {
        if group.replace(bar.group) != Some(bar.group) {
            y += HEADING;
            write(area, (12, y - 10), HPos::Left, SUBTITLE, bar.group.title())?;
        }
        let middle = y + ROW / 2;
        write(area, (LEFT - 10, middle), HPos::Right, SMALL, &bar.title)?;
        let colour = if bar.best >= 1.0 { AHEAD } else { BEHIND };
        let (one, end) = (scale.x(1.0), scale.x(bar.best));
        let corners = [(one.min(end), middle - BAR), (one.max(end), middle + BAR)];
        area.draw(&Rectangle::new(corners, colour.mix(0.6).filled()))?;
        for (peer, ratio) in &bar.marks {
            mark(area, peer, (scale.x(*ratio), middle))?;
        }
        write(area, (WIDTH - 12, middle), HPos::Right, SMALL, &format!("{:.2}", bar.best))?;
        y += ROW;
    }
    area.present()?;
    Ok(())
}

/// What the bars and marks are; only of those that occur.
fn legend(area: &Area, bars: &[Bar]) -> Result<(), Box<dyn std::error::Error>> {
    let y = 72;
    area.draw(&Rectangle::new([(12, y - BAR), (40, y + BAR)], AHEAD.mix(0.6).filled()))?;
    area.draw(&Rectangle::new([(44, y - BAR), (72, y + BAR)], BEHIND.mix(0.6).filled()))?;
    write(area, (80, y), HPos::Left, SMALL, "the best other of the row; to the right of 1, gorust is ahead")?;
    let mut x = LEFT + 50;
    for peer in ["tokio", "smol", "go"] {
        if bars.iter().any(|bar| bar.marks.iter().any(|mark| mark.0 == peer)) {
            mark(area, peer, (x, y))?;
            write(area, (x + 12, y), HPos::Left, SMALL, peer)?;
            x += 80;
        }
    }
    Ok(())
}

/// A peer's mark: told apart by shape as well as by colour.
fn mark(area: &Area, peer: &str, at: (i32, i32)) -> Result<(), Box<dyn std::error::Error>> {
    match peer {
        "tokio" => area.draw(&Circle::new(at, 4, TOKIO.filled()))?,
        "smol" => {
            let diamond = [(0, -5), (5, 0), (0, 5), (-5, 0)].map(|(x, y)| (at.0 + x, at.1 + y));
            area.draw(&Polygon::new(diamond, SMOL.filled()))?;
        }
        _ => area.draw(&TriangleMarker::new(at, 5, GO.filled()))?,
    }
    Ok(())
}

fn write(
    area: &Area,
    at: (i32, i32),
    side: HPos,
    size: i32,
    text: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let style = ("sans-serif", size).into_font().color(&INK).pos(Pos::new(side, VPos::Center));
    area.draw(&Text::new(text.to_owned(), at, style))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(best: f64, marks: &[(&'static str, f64)]) -> Bar {
        Bar { group: Group::Scheduling, title: String::new(), best, marks: marks.to_vec() }
    }

    #[test]
    fn the_scale_holds_every_ratio() {
        let scale = Scale::of(&[bar(1.5, &[("tokio", 17.0)]), bar(0.3, &[])]);
        assert_eq!(scale, Scale { low: -2, high: 5 });
        assert_eq!((scale.x(0.25), scale.x(32.0)), (LEFT, RIGHT));
        assert!(scale.x(1.0) < scale.x(2.0));
    }
}

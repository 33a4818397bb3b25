//! Small charts, drawn here as SVG: what a page shows needs no script.

/// Bars of one chart; of more, the latest.
const BARS_MAX: usize = 60;
/// The height of the highest bar.
const HEIGHT: u64 = 60;
const BAR_WIDTH: usize = 12;
const BAR_PITCH: usize = 14;

/// A bar chart.
pub(crate) struct Chart {
    pub(crate) title: &'static str,
    pub(crate) width: usize,
    pub(crate) height: u64,
    pub(crate) bars: Vec<Bar>,
    /// What the highest bar stands for.
    pub(crate) highest: String,
}

/// One bar of a chart.
pub(crate) struct Bar {
    pub(crate) x: usize,
    pub(crate) y: u64,
    pub(crate) width: usize,
    pub(crate) height: u64,
    /// What it stands for, for whoever points at it, and for who cannot see it.
    pub(crate) text: String,
}

/// A chart of labels, values and what the values are called; none of fewer than two.
pub(crate) fn bars(
    title: &'static str,
    values: impl Iterator<Item = (String, u64, String)>,
) -> Option<Chart> {
    let values: Vec<_> = values.collect();
    let values = &values[values.len().saturating_sub(BARS_MAX)..];
    let (_, highest, name) = values.iter().max_by_key(|(_, value, _)| *value)?;
    if values.len() < 2 {
        return None;
    }
    let bar = |(at, (label, value, name)): (usize, &(String, u64, String))| {
        let scaled = u128::from(*value) * u128::from(HEIGHT) / u128::from((*highest).max(1));
        // At most the height.
        let height = (scaled as u64).max(1);
        let text = format!("{label}: {name}");
        Bar { x: at * BAR_PITCH, y: HEIGHT - height, width: BAR_WIDTH, height, text }
    };
    Some(Chart {
        title,
        width: values.len() * BAR_PITCH,
        height: HEIGHT,
        bars: values.iter().enumerate().map(bar).collect(),
        highest: name.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart_of(values: &[u64]) -> Option<Chart> {
        let named = values.iter().map(|value| ("l".to_owned(), *value, value.to_string()));
        bars("t", named)
    }

    #[test]
    fn bars_are_as_high_as_their_values() {
        let rows: &[(&[u64], &[u64])] =
            &[(&[1, 2, 4], &[15, 30, 60]), (&[0, 0], &[1, 1]), (&[u64::MAX, 1], &[60, 1])];
        for (values, expected) in rows {
            let chart = chart_of(values).unwrap();
            let heights: Vec<u64> = chart.bars.iter().map(|bar| bar.height).collect();
            assert_eq!(&heights, expected);
            assert!(chart.bars.iter().all(|bar| bar.y + bar.height == HEIGHT));
        }
        assert!(chart_of(&[]).is_none() && chart_of(&[1]).is_none());
        assert_eq!(chart_of(&[1; 80]).unwrap().bars.len(), BARS_MAX);
    }
}

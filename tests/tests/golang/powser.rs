//! `test/chan/powser1.go`: power series as streams of coefficients, each computed by goroutines when it is asked for. A
//! product alone starts a few for every coefficient, and the exponential is a stream that feeds on itself.

use crate::{everywhere, on_workers};
use futures::future::{Either, select};
use gorust::{
    chan::{Receiver, Sender, unbounded},
    prelude::*,
    sync::Mutex,
};
use std::{
    ops::{Add, Mul},
    pin::pin,
    sync::Arc,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ratio(i128, i128);

impl Ratio {
    fn new(numerator: i128, denominator: i128) -> Self {
        let (mut a, mut b) = (numerator.abs(), denominator.abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let sign = denominator.signum();
        Self(sign * numerator / a.max(1), sign * denominator / a.max(1))
    }
}

impl Add for Ratio {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::new(self.0 * other.1 + other.0 * self.1, self.1 * other.1)
    }
}

impl Mul for Ratio {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::new(self.0 * other.0, self.1 * other.1)
    }
}

/// The coefficients, from the lowest on. Each is computed when the one before was taken; all end when it is dropped.
type Series = Receiver<Ratio>;

fn series<F: Future<Output = Option<()>> + Send + 'static>(body: impl FnOnce(Sender<Ratio>) -> F) -> Series {
    let (tx, rx) = chan(0);
    go(body(tx));
    rx
}

/// Says a coefficient; `None` when nobody listens any more.
async fn say(out: &Sender<Ratio>, coefficient: Ratio) -> Option<()> {
    out.send(coefficient).await.ok()
}

/// 1 + x + x² + ..
fn ones() -> Series {
    series(|out| async move {
        loop {
            say(&out, Ratio(1, 1)).await?;
        }
    })
}

/// The series x.
fn x() -> Series {
    series(|out| async move {
        for n in 0.. {
            say(&out, Ratio(i128::from(n == 1), 1)).await?;
        }
        None
    })
}

fn add(u: Series, v: Series) -> Series {
    series(|out| async move {
        loop {
            say(&out, u.recv().await? + v.recv().await?).await?;
        }
    })
}

fn scale(factor: Ratio, u: Series) -> Series {
    series(move |out| async move {
        loop {
            say(&out, factor * u.recv().await?).await?;
        }
    })
}

/// One series twice. Whoever comes first to a coefficient asks for it, and leaves it to the other as well.
fn split(u: Series) -> [Series; 2] {
    let source = Arc::new(Mutex::new(u));
    let [one, other] = [unbounded(), unbounded()];
    [(one.1, other.0), (other.1, one.0)].map(|(mine, others)| {
        let source = Arc::clone(&source);
        series(move |out| async move {
            loop {
                // What the other has left, or the source, whichever is to be had first.
                let known = match select(Box::pin(mine.recv()), pin!(source.lock())).await {
                    Either::Left((Some(known), _)) => known,
                    // The other is gone.
                    Either::Left((None, source)) => source.await.recv().await?,
                    Either::Right((source, recv)) => {
                        // It may have been granted what the other left: then that is given back here.
                        drop(recv);
                        match mine.try_recv() {
                            Ok(known) => known,
                            Err(_) => {
                                let new = source.recv().await?;
                                let _ = others.try_send(new);
                                new
                            }
                        }
                    }
                };
                say(&out, known).await?;
            }
        })
    })
}

/// (u + xU)(v + xV) = uv + x(uV + vU) + x²UV
fn multiply(u: Series, v: Series) -> Series {
    series(|out| async move {
        let (u0, v0) = (u.recv().await?, v.recv().await?);
        say(&out, u0 * v0).await?;
        let ([u1, u2], [v1, v2]) = (split(u), split(v));
        let linear = add(scale(u0, v1), scale(v0, u1));
        say(&out, linear.recv().await?).await?;
        let rest = add(linear, multiply(u2, v2));
        loop {
            say(&out, rest.recv().await?).await?;
        }
    })
}

fn derive(u: Series) -> Series {
    series(|out| async move {
        u.recv().await?;
        for n in 1.. {
            say(&out, Ratio(n, 1) * u.recv().await?).await?;
        }
        None
    })
}

fn integrate(constant: Ratio, u: Series) -> Series {
    series(move |out| async move {
        say(&out, constant).await?;
        for n in 1.. {
            say(&out, Ratio(1, n) * u.recv().await?).await?;
        }
        None
    })
}

/// Z with Z' = Z u' and Z(0) = 1: its own coefficients are its input.
fn exponential(u: Series) -> Series {
    let (tx, z) = chan(0);
    let [result, feedback] = split(z);
    let z = integrate(Ratio(1, 1), multiply(feedback, derive(u)));
    go(async move {
        // The ring would turn for ever, also when nobody listens any more.
        for _ in 0..20 {
            let Some(coefficient) = z.recv().await else { return };
            if tx.send(coefficient).await.is_err() {
                return;
            }
        }
    });
    result
}

async fn first(series: Series, count: usize) -> Vec<Ratio> {
    let mut coefficients = Vec::new();
    while coefficients.len() < count {
        coefficients.push(series.recv().await.unwrap());
    }
    coefficients
}

#[test]
fn sums_and_products() {
    on_workers(|| async {
        assert_eq!(first(add(ones(), x()), 4).await, [1, 2, 1, 1].map(|n| Ratio(n, 1)));
        let square = first(multiply(ones(), ones()), 12).await;
        assert_eq!(square, Vec::from_iter((1..=12).map(|n| Ratio(n, 1))));
        let cube = first(multiply(ones(), multiply(ones(), ones())), 8).await;
        assert_eq!(cube, Vec::from_iter((1..=8).map(|n| Ratio(n * (n + 1) / 2, 1))));
    });
}

#[test]
fn derivatives_and_integrals() {
    everywhere(|| async {
        let numbers = first(derive(ones()), 10).await;
        assert_eq!(numbers, Vec::from_iter((1..=10).map(|n| Ratio(n, 1))));
        let logarithm = first(integrate(Ratio(0, 1), ones()), 10).await;
        assert_eq!(logarithm[1..], Vec::from_iter((1..10).map(|n| Ratio(1, n))));
        assert_eq!(first(derive(integrate(Ratio(5, 1), ones())), 10).await, [Ratio(1, 1); 10]);
    });
}

#[test]
fn a_series_that_feeds_on_itself() {
    everywhere(|| async {
        let mut factorial = 1;
        let expected: Vec<_> = std::iter::once(Ratio(1, 1))
            .chain((1..9).map(|n| {
                factorial *= n;
                Ratio(1, factorial)
            }))
            .collect();
        assert_eq!(first(exponential(x()), 9).await, expected);
    });
}

//! What scoring costs: one utterance by each engine, one thread.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use patchcord::analysis::{
    Scorer,
    sentiment::{Encoder, Ngram},
};

/// Utterances as long as most are, and one at the bound.
const USUAL: &str = "I have called three times about this bill and nobody has ever rung me back";
const SHORT: &str = "that sounds good to me";

fn sentiment(criterion: &mut Criterion) {
    let encoder = Encoder::shipped().expect("the shipped files are an encoder");
    let ngram = Ngram::shipped().expect("the shipped file is a model");
    let longest = USUAL.repeat(20);
    let mut group = criterion.benchmark_group("sentiment");
    group.sample_size(50);
    for (length, text) in [("5 words", SHORT), ("15 words", USUAL), ("64 pieces", &longest)] {
        group.bench_function(format!("encoder, {length}"), |bench| {
            bench.iter(|| encoder.score(black_box(text)))
        });
        group.bench_function(format!("n-grams, {length}"), |bench| {
            bench.iter(|| ngram.score(black_box(text)))
        });
    }
    group.bench_function("load the encoder", |bench| bench.iter(Encoder::shipped));
    group.finish();
}

criterion_group!(benches, sentiment);
criterion_main!(benches);

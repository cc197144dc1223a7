//! What the compiler says about programs that are wrong: each file in `ui/` has its messages beside it.
//!
//! `TRYBUILD=overwrite cargo ui` writes them anew; read the difference before you keep it.

#[test]
fn mistakes_are_told_in_sentences() {
    trybuild::TestCases::new().compile_fail("ui/*.rs");
}

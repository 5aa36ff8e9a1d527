//! What the words mean: sentiment, its trend, keywords. Pure.

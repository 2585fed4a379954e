//! The mathematics: models, decoding and evaluation of speculative-decoding heads.

//! The simulated construction firm: what its people and its connector do in Procore and Acumatica, day by day.

pub mod model;

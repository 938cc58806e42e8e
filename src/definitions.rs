//! Manifests, SQL and crosswalks in force.

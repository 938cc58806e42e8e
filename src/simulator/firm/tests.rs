//! The firm's life keeps the systems' identities, and its truth agrees with its databases.

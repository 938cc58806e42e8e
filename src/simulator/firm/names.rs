//! Names for the simulated firm: companies, places, cost codes.

/// Subcontractors and suppliers by trade.
pub(super) const TRADES: [&str; 16] = [
    "Drywall",
    "Electric",
    "Plumbing",
    "Roofing",
    "Concrete",
    "Excavating",
    "Framing",
    "Painting",
    "HVAC",
    "Masonry",
    "Flooring",
    "Glass",
    "Insulation",
    "Landscaping",
    "Lumber",
    "Steel",
];
/// First words of company names.
pub(super) const FIRST: [&str; 20] = [
    "Acme",
    "Blue Ridge",
    "Catawba",
    "Dogwood",
    "Eastover",
    "Foothills",
    "Gaston",
    "Harbor",
    "Ironwood",
    "Jackson & Sons",
    "Keystone",
    "Lakeside",
    "Mecklenburg",
    "Northgate",
    "Old North",
    "Piedmont",
    "Queen City",
    "Riverbend",
    "Summit",
    "Triad",
];
/// Legal suffixes; they stay as written.
pub(super) const SUFFIX: [&str; 5] = ["LLC", "Inc.", "Co.", "Corp.", "L.P."];
/// Cities with the beginning of their postal codes.
pub(super) const CITIES: [(&str, &str); 6] = [
    ("Charlotte", "282"),
    ("Gastonia", "280"),
    ("Matthews", "281"),
    ("Huntersville", "280"),
    ("Monroe", "281"),
    ("Mooresville", "281"),
];
/// Streets.
pub(super) const STREETS: [&str; 8] = [
    "Tryon St",
    "Wilkinson Blvd",
    "Monroe Rd",
    "Central Ave",
    "Freedom Dr",
    "Statesville Rd",
    "Park Rd",
    "Randolph Rd",
];
/// Owners, whom the firm bills.
pub(super) const OWNERS: [&str; 10] = [
    "Carmel Land Partners LLC",
    "Eastway Housing Trust",
    "Fourth Ward Holdings, Inc.",
    "Greenline Developers LLC",
    "Hickory Grove Homes",
    "Latta Park Properties",
    "Myers Mill Investors LP",
    "Providence Senior Living",
    "SouthEnd Lofts LLC",
    "Wesley Heights Community Land Trust",
];
/// What the projects are called.
pub(super) const PROJECTS: [&str; 10] = [
    "Carmel Commons",
    "Eastway Flats",
    "Fourth Ward Townhomes",
    "Greenline Apartments",
    "Hickory Grove Phase II",
    "Latta Park Residences",
    "Myers Mill Lofts",
    "Providence Court",
    "SouthEnd Terrace",
    "Wesley Heights Row",
];
/// Cost codes in the manner of the NAHB chart, with the types that a budget has on them.
pub(super) const CODES: [(&str, &str, &str); 24] = [
    ("01-100", "Permits and fees", "O"),
    ("01-200", "Architecture and engineering", "O"),
    ("02-100", "Site clearing", "SE"),
    ("02-200", "Excavation and backfill", "SE"),
    ("02-300", "Utilities", "S"),
    ("03-100", "Footings and foundation", "SML"),
    ("03-200", "Concrete flatwork", "SM"),
    ("04-100", "Masonry", "S"),
    ("05-100", "Structural steel", "SM"),
    ("06-100", "Rough framing labor", "SL"),
    ("06-200", "Lumber", "M"),
    ("06-300", "Trusses", "M"),
    ("07-100", "Roofing", "S"),
    ("07-200", "Insulation", "S"),
    ("08-100", "Windows and exterior doors", "M"),
    ("08-200", "Interior doors and trim", "ML"),
    ("09-100", "Drywall", "S"),
    ("09-200", "Paint", "S"),
    ("09-300", "Flooring", "SM"),
    ("15-100", "Plumbing", "S"),
    ("15-200", "Heating and cooling", "S"),
    ("16-100", "Electrical", "S"),
    ("17-100", "Landscaping", "S"),
    ("18-100", "Supervision", "L"),
];
/// Cost types of Procore, which are the account groups of the ERP: code, name, base type, account.
pub(super) const COST_TYPES: [(&str, &str, &str, &str); 5] = [
    ("L", "Labor", "other", "50100"),
    ("M", "Material", "materials", "50200"),
    ("S", "Subcontract", "commitment", "50300"),
    ("E", "Equipment", "equipment", "50400"),
    ("O", "Other", "other", "50500"),
];
/// A row of the chart of accounts.
type Account = (&'static str, &'static str, &'static str, &'static str, Option<&'static str>, bool);

/// The chart of accounts: code, name, type, class, account group, whether it is cash.
pub(super) const ACCOUNTS: [Account; 15] = [
    ("10100", "Operating cash", "Asset", "CASH", None, true),
    ("11000", "Accounts receivable", "Asset", "AR", None, false),
    ("11100", "Retainage receivable", "Asset", "AR", None, false),
    ("20000", "Accounts payable", "Liability", "AP", None, false),
    ("20100", "Retainage payable", "Liability", "AP", None, false),
    ("21000", "Payroll and equipment clearing", "Liability", "LIAB", None, false),
    ("32000", "Retained earnings", "Liability", "RETEARN", None, false),
    ("40000", "Contract revenue", "Income", "SALES", Some("REV"), false),
    ("50100", "Job labor", "Expense", "COGS", Some("L"), false),
    ("50200", "Job material", "Expense", "COGS", Some("M"), false),
    ("50300", "Job subcontract", "Expense", "COGS", Some("S"), false),
    ("50400", "Job equipment", "Expense", "COGS", Some("E"), false),
    ("50500", "Job other cost", "Expense", "COGS", Some("O"), false),
    ("60100", "Office rent", "Expense", "EXPENSE", None, false),
    ("60200", "Office supplies", "Expense", "EXPENSE", None, false),
];

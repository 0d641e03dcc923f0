//! Rows into files and back, exports run after run, and imports.

#[cfg(test)]
mod export;
#[cfg(test)]
mod import;
#[cfg(test)]
mod memory;
#[cfg(test)]
mod rows;

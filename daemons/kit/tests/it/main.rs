//! Tests of the kit: one module a subject, data in, text out.

mod sim;
mod store_disk;
mod store_spool;

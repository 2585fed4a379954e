mod build;
mod counts;
mod files;
mod resolve;

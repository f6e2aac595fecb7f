//! The miner's tree: length of the line, then its first tokens, then the templates of a leaf.
//!
//! A token with a digit in it counts as any, as does a token that would give a node too many
//! children or the tree too many nodes; so the tree is bounded whatever the lines say.

use std::collections::HashMap;

use super::{ANY_HASH, tokens};
use nms_proto::limits::TEMPLATE_CHILDREN_MAX;

/// Tokens of a line that lead to a leaf.
const DEPTH: usize = 2;

/// Most memory of a node, in bytes: itself, its place among its parent's children, and a few templates.
pub(super) const NODE_BYTES: usize = size_of::<Node>() + 2 * size_of::<(u64, usize)>() + 16;

/// A leaf of the tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf(usize);

#[derive(Debug, Default)]
struct Node {
    children: HashMap<u64, usize>,
    templates: Vec<u32>,
    /// How often a template of it began or was widened.
    changes: u32,
}

#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    nodes_max: usize,
}

impl Tree {
    pub(super) fn new(nodes_max: usize) -> Self {
        Self { nodes: vec![Node::default()], nodes_max }
    }

    /// The leaf of a line, made where there is none.
    pub(super) fn leaf(&mut self, line: &[u64], masked: &str) -> Leaf {
        let mut at = self.child(0, line.len() as u64 + 1);
        for (hash, token) in line.iter().zip(tokens(masked)).take(DEPTH) {
            at = self.child(at, if varies(token) { ANY_HASH } else { *hash });
        }
        Leaf(at)
    }

    /// The leaf of a line, where there is one.
    pub(super) fn find(&self, line: &[u64], masked: &str) -> Option<Leaf> {
        let lengths = &self.nodes.first()?.children;
        // A tree that was full kept no place for this length.
        let mut at = *lengths.get(&(line.len() as u64 + 1)).or_else(|| lengths.get(&ANY_HASH))?;
        for (hash, token) in line.iter().zip(tokens(masked)).take(DEPTH) {
            let children = &self.nodes.get(at)?.children;
            let exact = Some(hash).filter(|_| !varies(token)).and_then(|hash| children.get(hash));
            at = *exact.or_else(|| children.get(&ANY_HASH))?;
        }
        Some(Leaf(at))
    }

    /// How often the templates of a leaf changed.
    pub(super) fn changes(&self, leaf: Leaf) -> u32 {
        self.nodes.get(leaf.0).map_or(0, |node| node.changes)
    }

    /// A template of a leaf began, or was widened.
    pub(super) fn changed(&mut self, leaf: Leaf) {
        if let Some(node) = self.nodes.get_mut(leaf.0) {
            node.changes = node.changes.wrapping_add(1);
        }
    }

    pub(super) fn templates(&self, leaf: Leaf) -> &[u32] {
        self.nodes.get(leaf.0).map_or(&[], |node| &node.templates)
    }

    /// Adds a template to a leaf and drops from it those that are no longer `alive`.
    pub(super) fn add(&mut self, leaf: Leaf, id: u32, alive: impl Fn(u32) -> bool) {
        if let Some(node) = self.nodes.get_mut(leaf.0) {
            node.templates.retain(|old| alive(*old));
            node.templates.push(id);
        }
    }

    fn child(&mut self, parent: usize, key: u64) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(parent) else { return 0 };
        if let Some(child) = node.children.get(&key) {
            return *child;
        }
        let full = node.children.len() >= TEMPLATE_CHILDREN_MAX || next >= self.nodes_max;
        let key = if full { ANY_HASH } else { key };
        if let Some(child) = node.children.get(&key) {
            return *child;
        }
        node.children.insert(key, next);
        self.nodes.push(Node::default());
        next
    }
}

fn varies(token: &str) -> bool {
    token.bytes().any(|byte| byte.is_ascii_digit())
}

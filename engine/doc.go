// Package engine has no code: its tests hold the documents of the tree to the tree.
package engine

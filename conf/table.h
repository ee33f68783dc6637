/*
 * How far a word is from another, for "did you mean".
 */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

/* Edits from a (misspelt) name to a word in lower case; UINT_MAX when one
 * of them is no word at all. */
unsigned int	 word_distance(const char *name, const char *word);
/* The most edits at which a suggestion still helps. */
unsigned int	 word_near(const char *name);

#endif

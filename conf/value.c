#include "config.h"

#include <arpa/inet.h>

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "conf/table.h"
#include "conf/value.h"
#include "conf/why.h"

#define SIZE_LEAST	(1L << 20)

static int
no_memory(char **why)
{
	return why_set(why, "cannot be kept: out of memory");
}

/* A copy without the white space around it. */
static char *
strip(const char *s, size_t n)
{
	while (n > 0 && isspace((unsigned char)*s)) {
		s++;
		n--;
	}
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	return strndup(s, n);
}

/* The n bytes at `w` are one of the words in `list`. */
static bool
word_in(const char *list, const char *w, size_t n)
{
	size_t len;

	for (; list != NULL && *list != '\0'; list += len) {
		list += *list == ' ';
		len = strcspn(list, " ");
		if (len == n && strncasecmp(list, w, n) == 0)
			return true;
	}
	return false;
}

/* "drop refuse dangerous" as "drop, refuse or dangerous". */
static char *
words_shown(const char *list)
{
	char *s = malloc(strlen(list) * 4 + 1), *to = s;
	const char *glue;

	if (s == NULL)
		return NULL;
	for (; *list != '\0'; list++) {
		if (*list != ' ') {
			*to++ = *list;
			continue;
		}
		glue = strchr(list + 1, ' ') == NULL ? " or " : ", ";
		memcpy(to, glue, strlen(glue));
		to += strlen(glue);
	}
	*to = '\0';
	return s;
}

/* The word of `oneof` that the text stands for, in lower case; NULL. */
static char *
canonical(const struct setting_info *info, const char *text)
{
	const char *s = info->synonyms;
	size_t n = strlen(text), len;
	char *w, *p;

	if (word_in(info->oneof, text, n)) {
		if ((w = strdup(text)) != NULL)
			for (p = w; *p != '\0'; p++)
				*p = (char)tolower((unsigned char)*p);
		return w;
	}
	for (; s != NULL && *s != '\0'; s += len) {
		s += *s == ' ';
		len = strcspn(s, " ");
		if (len > n && s[n] == '=' && strncasecmp(s, text, n) == 0)
			return strndup(s + n + 1, len - n - 1);
	}
	return NULL;
}

static int
oneof_refuse(const struct setting_info *info, char **why)
{
	char *words = words_shown(info->oneof);

	(void)why_set(why, "must be %s%s", info->type == TYPE_LIST ?
	    "a list of " : "", words != NULL ? words : info->oneof);
	free(words);
	return -1;
}

/* A number that means bytes may end in K, M or G, of 1024 each. */
static bool
sized(long *n, const char *unit)
{
	static const char units[] = "kmg";
	const char *at;
	int shift;

	at = memchr(units, tolower((unsigned char)*unit), sizeof(units) - 1);
	if (at == NULL || unit[1] != '\0')
		return false;
	shift = 10 * (int)(at - units + 1);
	*n = *n > LONG_MAX >> shift ? LONG_MAX : *n << shift;
	return true;
}

/* Digits in the base that the text asks for; decimal may begin with 0. */
static bool
number(const struct setting_info *info, const char *s, long *n)
{
	bool minus = *s == '-';
	int base = 10;
	char *end;

	s += minus || *s == '+';
	if (s[0] == '0' && (s[1] | 0x20) == 'x') {
		base = 16;
		s += 2;
	} else if (s[0] == '0' && (s[1] | 0x20) == 'o') {
		base = 8;
		s += 2;
	} else if (s[0] == '0' && info->traits & SETTING_OCTAL)
		base = 8;
	if (!isxdigit((unsigned char)*s))
		return false;
	*n = strtol(s, &end, base);	/* LONG_MAX is out of every range but
					   one, where it means the same */
	if (end == s || (*end != '\0' &&
	    !(info->traits & SETTING_SIZE && sized(n, end))))
		return false;
	if (minus)
		*n = -*n;
	return true;
}

bool
value_is_number(const struct setting_info *info, const char *text)
{
	long n;

	while (isspace((unsigned char)*text))
		text++;
	return number(info, text, &n) || word_in(info->oneof, text,
	    strlen(text));
}

static int
int_refuse(const struct setting_info *info, char **why)
{
	const char *word = info->oneof != NULL ? info->oneof : "";
	const char *glue = info->oneof != NULL ? ", or " : "";

	if (info->traits & SETTING_OCTAL)
		return why_set(why, "must be a file mode such as 0022");
	if (info->traits & SETTING_SIZE)
		return why_set(why, "must be 0 or a number of bytes, %ldM or "
		    "more, such as 300M", SIZE_LEAST >> 20);
	if (info->max >= INT_MAX)
		return why_set(why, "must be a whole number, %ld or more%s%s",
		    info->min, glue, word);
	return why_set(why, "must be a whole number from %ld to %ld%s%s",
	    info->min, info->max, glue, word);
}

static int
parse_int(struct value *v, const struct setting_info *info, char **why)
{
	long n = 0;

	if (word_in(info->oneof, v->text, strlen(v->text)))
		return 0;
	if (!number(info, v->text, &n) || n < info->min || n > info->max)
		return int_refuse(info, why);
	/* Whoever writes 300 means something else. */
	if (info->traits & SETTING_SIZE && n != 0 && n < SIZE_LEAST)
		return int_refuse(info, why);
	v->num = n;
	return 0;
}

static int
parse_bool(struct value *v, char **why)
{
	if (word_in("true yes on 1", v->text, strlen(v->text)))
		v->num = 1;
	else if (!word_in("false no off 0", v->text, strlen(v->text)))
		return why_set(why, "must be true or false");
	return 0;
}

/* No bit of the address may be set past the first `bits`. */
static bool
no_host_bits(const unsigned char *a, size_t size, unsigned long bits)
{
	size_t i;

	if (bits > size * 8)
		return false;
	for (i = bits / 8; i < size; i++)
		if (a[i] & (i == bits / 8 ? 0xff >> bits % 8 : 0xff))
			return false;
	return true;
}

static int
check_ip(const char *item, char **why)
{
	unsigned char a[16];
	size_t n = strcspn(item, "/");
	unsigned long bits;
	char host[64], *end;
	size_t size;

	if (strcmp(item, "*") == 0)
		return 0;
	if (n >= sizeof(host))
		goto bad;
	memcpy(host, item, n);
	host[n] = '\0';
	if (inet_pton(AF_INET, host, a) == 1)
		size = 4;
	else if (inet_pton(AF_INET6, host, a) == 1)
		size = 16;
	else
		goto bad;
	if (item[n] == '\0')
		return 0;
	if (!isdigit((unsigned char)item[n + 1]))
		goto bad;
	bits = strtoul(item + n + 1, &end, 10);
	if (*end != '\0' || bits > size * 8)
		goto bad;
	if (!no_host_bits(a, size, bits))
		return why_set(why, "%s has bits set after the first %lu: "
		    "write the network's first address", item, bits);
	return 0;
bad:
	return why_set(why, "must be IP addresses, networks such as "
	    "10.0.0.0/8, or * for all");
}

static int
check_item(const struct setting_info *info, const char *item, char **why)
{
	const char *eq;

	if (info->check == CHECK_IPS)
		return check_ip(item, why);
	if (info->check == CHECK_PAIRS)
		if ((eq = strchr(item, '=')) == NULL || eq == item)
			return why_set(why, "must be NAME=VALUE");
	if (info->type == TYPE_DICT)
		if ((eq = strchr(item, ':')) == NULL || eq == item)
			return why_set(why, "must be NAME:VALUE");
	if (info->oneof != NULL && !word_in(info->oneof, item, strlen(item)))
		return oneof_refuse(info, why);
	return 0;
}

int
value_list(struct value *v, const struct setting_info *info,
    const char *const *items, size_t n, char **why)
{
	size_t i;
	char *item;

	if ((v->items = calloc(n + 1, sizeof(*v->items))) == NULL)
		return no_memory(why);
	for (i = 0; i < n; i++) {
		if ((item = strip(items[i], strlen(items[i]))) == NULL) {
			(void)no_memory(why);
			goto fail;
		}
		v->items[v->n++] = item;
		if (*item == '\0') {
			free(item);
			v->n--;
		} else if (check_item(info, item, why) == -1)
			goto fail;
	}
	v->items[v->n] = NULL;
	if (v->n == 0 && info->traits & SETTING_NOT_EMPTY) {
		(void)why_set(why, "must not be empty");
		goto fail;
	}
	return 0;
fail:
	value_done(v);
	return -1;
}

/* NAME= follows; so the comma before it parts two pairs. */
static bool
pair_begins(const char *s)
{
	while (isspace((unsigned char)*s))
		s++;
	if (isdigit((unsigned char)*s))
		return false;
	while (isalnum((unsigned char)*s) || *s == '_')
		s++;
	return *s == '=';
}

/* Where the item that begins at s ends: at a comma, or at the end. In
 * NAME=VALUE pairs the value may hold commas. */
static size_t
item_length(const struct setting_info *info, const char *s)
{
	size_t n = strcspn(s, ",");

	if (info->check == CHECK_PAIRS)
		while (s[n] == ',' && !pair_begins(s + n + 1))
			n += 1 + strcspn(s + n + 1, ",");
	return n;
}

static int
parse_list(struct value *v, const struct setting_info *info,
    const char *text, char **why)
{
	size_t n = 0, len, max = 1;
	const char *p;
	char **items;
	int error = -1;

	for (p = text; *p != '\0'; p++)
		max += *p == ',';
	if ((items = calloc(max, sizeof(*items))) == NULL)
		return no_memory(why);
	for (p = text; ; p += len + 1) {
		len = item_length(info, p);
		if ((items[n++] = strndup(p, len)) == NULL) {
			(void)no_memory(why);
			goto out;
		}
		if (p[len] == '\0')
			break;
	}
	error = value_list(v, info, (const char *const *)items, n, why);
out:
	while (n > 0)
		free(items[--n]);
	free(items);
	return error;
}

static int
parse_text(struct value *v, const struct setting_info *info, char **why)
{
	char *word;

	if (info->type == TYPE_INT)
		return parse_int(v, info, why);
	if (info->type == TYPE_BOOL)
		return parse_bool(v, why);
	if (*v->text == '\0') {		/* as good as unset */
		free(v->text);
		v->text = NULL;
		return 0;
	}
	if (info->oneof == NULL)
		return 0;
	if ((word = canonical(info, v->text)) == NULL)
		return oneof_refuse(info, why);
	free(v->text);
	v->text = word;
	return 0;
}

int
value_parse(struct value *v, const struct setting_info *info,
    const char *text, char **why)
{
	if (info->type == TYPE_LIST || info->type == TYPE_DICT)
		return parse_list(v, info, text != NULL ? text : "", why);
	if (text == NULL && info->type == TYPE_BOOL)
		text = info->fallback;
	if (text == NULL)
		return info->type == TYPE_INT && info->fallback != NULL ?
		    int_refuse(info, why) : 0;
	if ((v->text = strip(text, strlen(text))) == NULL)
		return no_memory(why);
	if (parse_text(v, info, why) == -1) {
		value_done(v);
		return -1;
	}
	return 0;
}

int
value_join(struct value *v, struct value *more)
{
	char **items;

	items = reallocarray(v->items, v->n + more->n + 1, sizeof(*items));
	if (items == NULL)
		return -1;
	v->items = items;
	memcpy(items + v->n, more->items, more->n * sizeof(*items));
	v->n += more->n;
	items[v->n] = NULL;
	free(more->items);
	more->items = NULL;
	more->n = 0;
	return 0;
}

int
value_copy(struct value *to, const struct value *from)
{
	memset(to, 0, sizeof(*to));
	to->num = from->num;
	if (from->text != NULL && (to->text = strdup(from->text)) == NULL)
		return -1;
	if (from->items == NULL)
		return 0;
	if ((to->items = calloc(from->n + 1, sizeof(*to->items))) == NULL)
		goto fail;
	for (; to->n < from->n; to->n++)
		if ((to->items[to->n] = strdup(from->items[to->n])) == NULL)
			goto fail;
	return 0;
fail:
	value_done(to);
	return -1;
}

void
value_done(struct value *v)
{
	free(v->text);
	while (v->n > 0)
		free(v->items[--v->n]);
	free(v->items);
	memset(v, 0, sizeof(*v));
}

// OpenSSL's libcrypto, which chooses among its assembly by CPUID: digests, ciphers, big numbers and curves. Whatever code it
// takes, the results are the same. Needs libcrypto.a.
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 6000 };

static uint8_t data[SIZE], sealed[SIZE + 64], opened[SIZE + 64];

static void print(const char *what, const uint8_t *bytes, size_t n)
{
	printf("%-24s", what);
	for (size_t i = 0; i < n; i++)
		printf("%02x", bytes[i]);
	puts("");
}

static void check(int good, const char *what)
{
	if (!good) {
		printf("WRONG: %s\n", what);
		exit(1);
	}
}

// What a digest says of data of many lengths, digested once more.
static void digest(const char *name)
{
	static const size_t lengths[] = { 0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 200, 255, 256, 1000, 4096, SIZE };
	const EVP_MD *md = EVP_get_digestbyname(name);
	EVP_MD_CTX *all = EVP_MD_CTX_new();
	uint8_t one[EVP_MAX_MD_SIZE];
	unsigned length;

	check(md && EVP_DigestInit(all, md), name);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		check(EVP_Digest(data + i, lengths[i] < i ? 0 : lengths[i] - i, one, &length, md, NULL), name);
		EVP_DigestUpdate(all, one, length);
	}
	EVP_DigestFinal(all, one, &length);
	EVP_MD_CTX_free(all);
	print(name, one, length);
}

// Encrypts in pieces of many sizes, decrypts at once, and digests what was sealed.
static void cipher(const char *name, int has_tag)
{
	const EVP_CIPHER *cipher = EVP_get_cipherbyname(name);
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	uint8_t key[64], iv[16], tag[16] = { 0 }, sum[32];
	int length = 0, more, back, piece = 1, whole = !strcmp(name, "aes-128-xts");

	for (int i = 0; i < 64; i++)
		key[i] = i * 37 + 11;
	memcpy(iv, key + 5, sizeof iv);
	check(cipher && EVP_EncryptInit(context, cipher, key, iv), name);
	for (int at = 0; at < SIZE; at += piece, piece = whole ? SIZE : piece * 5 % 1021 + 1) {
		if (whole || piece > SIZE - at)
			piece = SIZE - at;
		check(EVP_EncryptUpdate(context, sealed + length, &more, data + at, piece), name);
		length += more;
	}
	check(EVP_EncryptFinal(context, sealed + length, &more), name);
	length += more;
	if (has_tag)
		check(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag), name);
	EVP_CIPHER_CTX_reset(context);
	check(EVP_DecryptInit(context, cipher, key, iv), name);
	check(EVP_DecryptUpdate(context, opened, &back, sealed, length), name);
	if (has_tag)
		check(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag), name);
	check(EVP_DecryptFinal(context, opened + back, &more) && back + more == SIZE && !memcmp(opened, data, SIZE), name);
	EVP_CIPHER_CTX_free(context);
	EVP_Digest(sealed, length, sum, NULL, EVP_sha256(), NULL);
	print(name, sum, sizeof sum);
	if (has_tag)
		print("  its tag", tag, sizeof tag);
}

static void print_number(const char *what, const BIGNUM *number)
{
	uint8_t bytes[1000], sum[32];

	EVP_Digest(bytes, BN_bn2bin(number, bytes), sum, NULL, EVP_sha256(), NULL);
	printf("%4d bits: ", BN_num_bits(number));
	print(what, sum, sizeof sum);
}

// Numbers of so many bits: products, quotients, powers modulo an odd one.
static void numbers(int bits)
{
	BN_CTX *context = BN_CTX_new();
	BIGNUM *a = BN_bin2bn(data, bits / 8, NULL), *b = BN_bin2bn(data + 1000, bits / 8, NULL), *m = BN_bin2bn(data + 2000, bits / 8, NULL);
	BIGNUM *x = BN_new(), *y = BN_new(), *z = BN_new();

	BN_set_bit(m, 0);
	BN_set_bit(m, bits - 1);
	BN_mul(x, a, b, context);
	print_number("product", x);
	BN_div(y, z, x, m, context);
	BN_mul(y, y, m, context);
	BN_add(y, y, z);
	check(BN_cmp(x, y) == 0, "a division");
	BN_sqr(x, a, context);
	BN_mul(y, a, a, context);
	check(BN_cmp(x, y) == 0, "a square");
	BN_mod_exp(x, a, b, m, context);
	BN_mod_exp_mont_consttime(y, a, b, m, context, NULL);
	check(BN_cmp(x, y) == 0, "a power");
	print_number("power", x);
	BN_gcd(x, a, b, context);
	print_number("common divisor", x);
	BN_CTX_free(context);
}

// A curve's base point times two numbers, in both orders.
static void curve(const char *name, int id)
{
	BN_CTX *context = BN_CTX_new();
	EC_GROUP *group = EC_GROUP_new_by_curve_name(id);
	EC_POINT *one = EC_POINT_new(group), *other = EC_POINT_new(group);
	BIGNUM *a = BN_bin2bn(data + 100, 32, NULL), *b = BN_bin2bn(data + 200, 32, NULL), *x = BN_new(), *y = BN_new();

	EC_POINT_mul(group, one, a, NULL, NULL, context);
	EC_POINT_mul(group, one, NULL, one, b, context);
	EC_POINT_mul(group, other, b, NULL, NULL, context);
	EC_POINT_mul(group, other, NULL, other, a, context);
	check(EC_POINT_cmp(group, one, other, context) == 0 && EC_POINT_is_on_curve(group, one, context) == 1, name);
	EC_POINT_get_affine_coordinates(group, one, x, y, context);
	print_number(name, x);
	print_number(name, y);
	BN_CTX_free(context);
}

static void edwards(void)
{
	EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, data + 300, 32);
	EVP_PKEY *mine = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, data + 400, 32);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	uint8_t signature[64], public[32], secret[32];
	size_t length = sizeof signature, n = sizeof public;
	EVP_PKEY_CTX *derive = EVP_PKEY_CTX_new(mine, NULL);

	EVP_DigestSignInit(context, NULL, NULL, NULL, key);
	check(EVP_DigestSign(context, signature, &length, data, SIZE), "a signature");
	print("ed25519", signature, length);
	EVP_MD_CTX_reset(context);
	EVP_DigestVerifyInit(context, NULL, NULL, NULL, key);
	check(EVP_DigestVerify(context, signature, length, data, SIZE) == 1, "a signature's check");
	EVP_PKEY_get_raw_public_key(mine, public, &n);
	print("x25519, public", public, n);
	EVP_PKEY_derive_init(derive);
	EVP_PKEY_derive_set_peer(derive, EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, data + 500, 32));
	n = sizeof secret;
	check(EVP_PKEY_derive(derive, secret, &n), "a secret");
	print("x25519, secret", secret, n);
}

int main(void)
{
	static const char *const digests[] = { "md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512", "shake128", "blake2b512", "blake2s256", "sm3" };
	static const char *const ciphers[] = { "aes-128-ecb", "aes-128-cbc", "aes-256-cbc", "aes-192-ctr", "aes-256-ctr", "aes-128-cfb", "aes-256-ofb",
		"aes-128-xts", "camellia-128-cbc", "des-ede3-cbc", "chacha20" };
	uint32_t seed = 7;
	uint8_t derived[40], mac[64];
	unsigned n;

	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	for (int i = 0; i < SIZE; i++) {
		seed = seed * 1664525 + 1013904223;
		data[i] = seed >> 24;
	}
	for (size_t i = 0; i < sizeof digests / sizeof *digests; i++)
		digest(digests[i]);
	for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++)
		cipher(ciphers[i], 0);
	cipher("aes-128-gcm", 1);
	cipher("aes-256-gcm", 1);
	cipher("chacha20-poly1305", 1);
	HMAC(EVP_sha512(), data, 77, data, SIZE, mac, &n);
	print("hmac", mac, n);
	check(PKCS5_PBKDF2_HMAC("password", 8, data, 16, 300, EVP_sha256(), sizeof derived, derived), "a derived key");
	print("pbkdf2", derived, sizeof derived);
	for (int bits = 512; bits <= 3072; bits += 512)
		numbers(bits);
	curve("P-256", NID_X9_62_prime256v1);
	curve("P-384", NID_secp384r1);
	curve("secp256k1", NID_secp256k1);
	edwards();
	return 0;
}

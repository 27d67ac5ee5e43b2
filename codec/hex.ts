// Bytes as hexadecimal digits, two each in lower case: how ids are shown, asked for and named in files.

export const hex = (bytes: ArrayLike<number>): string => Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');

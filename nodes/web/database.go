package web

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	_ "modernc.org/sqlite" // the driver

	"scenario/host"
)

const (
	databaseFile   = "web.sqlite" // among the node's files in the run's folder
	maxComments    = 10_000       // of a list
	maxComment     = 4096         // bytes of one
	sessionLife    = 24 * time.Hour
	databaseSchema = `
		CREATE TABLE IF NOT EXISTS comments (id INTEGER PRIMARY KEY, list TEXT NOT NULL, user TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL);
		CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, user TEXT NOT NULL, until INTEGER NOT NULL);
		CREATE TABLE IF NOT EXISTS settings (user TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (user, name));`
)

// Comment is what somebody wrote on a page.
type Comment struct {
	ID   int64  `json:"id"`
	User string `json:"user"`
	Text string `json:"text"`
	At   string `json:"at"` // RFC 3339
}

// database keeps comments, sessions and settings: SQLite in memory, which is written to the node's files after every change,
// so that it is there when the server is started again. What users say goes into it as parameters of statements alone.
type database struct {
	sql   *sql.DB
	files host.Storage // nil: nothing outlives the server
}

var errFull = errors.New("there are too many comments already")

// openDatabase opens the database of a node.
func openDatabase(h host.Host) (*database, error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, fmt.Errorf("database: %w", err)
	}
	// Each connection to :memory: is a database of its own.
	db.SetMaxOpenConns(1)
	d := &database{sql: db}
	d.files, _ = h.(host.Storage)
	if err := d.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("database: %w", err), db.Close())
	}
	return d, nil
}

func (d *database) load() error {
	if d.files != nil {
		content, err := d.files.ReadFile(databaseFile)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		default:
			if err := d.raw(func(c serializer) error { return c.Deserialize(content) }); err != nil {
				return fmt.Errorf("%s: %w", databaseFile, err)
			}
		}
	}
	_, err := d.sql.Exec(databaseSchema)
	return err
}

// serializer is what the driver's connection can do beside SQL.
type serializer interface {
	Serialize() ([]byte, error)
	Deserialize(content []byte) error
}

// raw hands the driver's connection to do.
func (d *database) raw(do func(serializer) error) error {
	c, err := d.sql.Conn(context.Background()) // one that ends would take the database with it
	if err != nil {
		return err
	}
	err = c.Raw(func(driver any) error {
		s, ok := driver.(serializer)
		if !ok {
			return errors.New("the driver cannot write the database down")
		}
		return do(s)
	})
	return errors.Join(err, c.Close())
}

// change carries out a statement and writes the database down.
func (d *database) change(statement string, values ...any) (sql.Result, error) {
	result, err := d.sql.Exec(statement, values...)
	if err != nil || d.files == nil {
		return result, err
	}
	return result, d.raw(func(c serializer) error {
		content, err := c.Serialize()
		if err != nil {
			return err
		}
		return d.files.WriteFile(databaseFile, content)
	})
}

// close ends the use of the database.
func (d *database) close() error { return d.sql.Close() }

// addComment adds a comment to a list.
func (d *database) addComment(list, user, text string, at time.Time) (Comment, error) {
	c := Comment{User: user, Text: text, At: at.UTC().Format(time.RFC3339)}
	var count int
	if err := d.sql.QueryRow("SELECT count(*) FROM comments WHERE list = ?", list).Scan(&count); err != nil {
		return c, err
	}
	if count >= maxComments {
		return c, errFull
	}
	result, err := d.change("INSERT INTO comments (list, user, text, at) VALUES (?, ?, ?, ?)", list, c.User, c.Text, c.At)
	if err != nil {
		return c, err
	}
	c.ID, err = result.LastInsertId()
	return c, err
}

// comments is a list, oldest first.
func (d *database) comments(list string) (_ []Comment, err error) {
	rows, err := d.sql.Query("SELECT id, user, text, at FROM comments WHERE list = ? ORDER BY id", list)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all := []Comment{}
	for rows.Next() {
		var c Comment
		if err := rows.Scan(&c.ID, &c.User, &c.Text, &c.At); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// begin begins a session.
func (d *database) begin(id, user string, now time.Time) error {
	_, err := d.change("INSERT INTO sessions (id, user, until) VALUES (?, ?, ?)", id, user, now.Add(sessionLife).Unix())
	return err
}

// user is whose session it is; empty: there is none.
func (d *database) user(id string, now time.Time) (string, error) {
	var user string
	err := d.sql.QueryRow("SELECT user FROM sessions WHERE id = ? AND until > ?", id, now.Unix()).Scan(&user)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return user, err
}

// end ends a session.
func (d *database) end(id string) error {
	_, err := d.change("DELETE FROM sessions WHERE id = ?", id)
	return err
}

// set keeps a setting of a user's.
func (d *database) set(user, name, value string) error {
	_, err := d.change("INSERT INTO settings (user, name, value) VALUES (?, ?, ?) ON CONFLICT (user, name) DO UPDATE SET value = excluded.value", user, name, value)
	return err
}

// settings are a user's, by name.
func (d *database) settings(user string) (_ map[string]string, err error) {
	rows, err := d.sql.Query("SELECT name, value FROM settings WHERE user = ?", user)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all := make(map[string]string)
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return nil, err
		}
		all[name] = value
	}
	return all, rows.Err()
}
